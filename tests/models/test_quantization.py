"""The int8 model: made from a folder of photos, as good as float32, and refused rather than guessed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from scripts import quantize
from scripts.bench import precision
from service.errors import FaceNotFound, InvalidSettings, ModelUnavailable
from service.models import conversion, selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.vision.embedder import OpenVinoEmbedder, open_embedder

ROOT = Path(__file__).parents[2]

needs_nncf = pytest.mark.skipif(find_spec("nncf") is None, reason=f"needs NNCF: pip install {quantize.NNCF}")


@pytest.fixture(scope="module")
def unmade(files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """casia-webface with a place of the tests' own for its int8 graph, where none is."""
    return replace(files, facenet_int8=tmp_path_factory.mktemp("models") / "casia-webface-int8" / "facenet.xml")


@pytest.fixture(scope="module")
def lfw(unmade: ModelFiles, shared: Path) -> quantize.Faces:
    return quantize.find_faces(shared / "faces" / "lfw_mini", unmade, Settings(), most=130)


def write_graph(source: ModelFiles, folder: Path) -> None:
    """Some graph in place of an int8 one, for tests of how it is kept."""
    for suffix in (".xml", ".bin"):
        (folder / f"facenet{suffix}").write_bytes(source.facenet.with_suffix(suffix).read_bytes())


@needs_nncf
def test_an_int8_model_agrees_with_float32_and_serves_every_batch(
    unmade: ModelFiles, lfw: quantize.Faces, embedder: OpenVinoEmbedder, capsys: pytest.CaptureFixture[str]
) -> None:
    quantize.quantize(quantize.import_nncf(), unmade, lfw, crops=50, threads=2)
    printed = capsys.readouterr().out
    assert "| int8 " in printed
    assert "| 80 faces " in printed, "measured on the faces that were kept back"
    crops = np.stack(lfw.crops[:41])  # batches of 32, 8 and 1
    int8 = open_embedder(unmade, compute="cpu", precision="int8", threads=2).embed(crops)
    assert int8.shape == (41, 512)
    np.testing.assert_allclose(np.linalg.norm(int8, axis=1), 1, rtol=1e-5)
    assert np.median(precision.cosines(int8, embedder.embed(crops))) >= 0.98


@needs_nncf
def test_a_model_far_from_float32_is_not_kept(
    unmade: ModelFiles, lfw: quantize.Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(unmade, facenet_int8=tmp_path / "int8" / "facenet.xml")
    monkeypatch.setattr(quantize, "LEAST_COSINE", 1.1)
    few = quantize.Faces(crops=lfw.crops[:6], people=lfw.people[:6])
    with pytest.raises(ModelUnavailable, match=r"too far from float32 \(median cosine 0\.9"):
        quantize.quantize(quantize.import_nncf(), elsewhere, few, crops=50, threads=2)
    assert not elsewhere.facenet_int8.parent.exists()


@needs_nncf
def test_nncf_sends_no_telemetry() -> None:
    """In a process of its own: under pytest NNCF switches its telemetry off by itself."""
    check = (
        "import sys; from scripts.quantize import import_nncf; nncf = import_nncf();"
        "assert sys.modules['openvino_telemetry'] is None;"
        "assert nncf.telemetry.telemetry.__class__.__module__ == 'unittest.mock'"
    )
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


def test_without_nncf_the_script_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(SystemExit, match=r"`\.venv/bin/pip install nncf==3\.4\.0`"):
        quantize.main([str(tmp_path)], {})


def test_the_extra_is_what_the_script_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["int8"] == [quantize.NNCF]


def test_a_setting_that_cannot_be_used_ends_the_script_with_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="FACE_THREADS"):
        quantize.main([str(tmp_path)], {"FACE_THREADS": "many"})


def test_no_calibration_with_no_crops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quantize.main([str(tmp_path), "--crops", "0"], {})
    assert "--crops must be 1 or more" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="nowhere is not a folder"):
        quantize.find_faces(tmp_path / "nowhere", files, Settings(), most=10)


def test_too_few_faces_are_refused_and_what_was_skipped_is_counted(
    files: ModelFiles, portraits: dict[str, bytes], photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "barack" / "2009"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(portraits["obama"])
    (folder / "copy of a.jpg").write_bytes(portraits["obama"])
    (folder / "cat.png").write_bytes((photos / "chelsea.png").read_bytes())
    (folder / "list.csv").write_text("a.jpg")
    (folder / "empty.jpg").touch()
    os.truncate(folder / "empty.jpg", Settings().max_bytes + 1)
    (tmp_path / "b.jpg").write_bytes(portraits["biden"])
    with pytest.raises(FaceNotFound) as refused:
        quantize.find_faces(tmp_path, files, Settings(), most=10)
    said = str(refused.value)
    for part in ("2 usable faces", "2 unreadable or too large", "1 without a usable face", "1 twice there", "needs 50"):
        assert part in said


def test_every_folder_has_its_turn_before_one_has_many(
    files: ModelFiles, portraits: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person, count in (("many", 9), ("two", 2), ("alone", 1)):
        (tmp_path / person).mkdir()
        for index in range(count):  # a byte behind the picture makes it another file
            (tmp_path / person / f"{index}.jpg").write_bytes(portraits["obama"] + f"{person}{index}".encode())
    monkeypatch.setattr(quantize, "LEAST_FACES", 7)
    people = quantize.find_faces(tmp_path, files, Settings(), most=7).people
    assert sorted(str(person) for person in people) == ["alone", *["many"] * 4, *["two"] * 2]


def test_int8_without_a_model_says_what_makes_it(unmade: ModelFiles, tmp_path: Path) -> None:
    nothing = replace(unmade, facenet_int8=tmp_path / "facenet.xml")
    with pytest.raises(ModelUnavailable, match=r"casia-webface was not made yet; `python -m scripts\.quantize PHOTOS`"):
        open_embedder(nothing, compute="cpu", precision="int8", threads=1)


@pytest.mark.parametrize("damage", ["flip a bit", "other weights", "older crops"])
def test_a_damaged_or_foreign_int8_model_is_noticed(files: ModelFiles, tmp_path: Path, damage: str) -> None:
    kept = replace(files, facenet_int8=tmp_path / "int8" / "facenet.xml")
    selection.keep_int8_graph(kept, lambda folder: write_graph(files, folder))
    assert selection.int8_graph(kept) == kept.facenet_int8
    if damage == "flip a bit":
        weights = kept.facenet_int8.with_suffix(".bin")
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif damage == "other weights":
        kept = replace(kept, contract=replace(kept.contract, digest="0" * 64))
    else:
        kept = replace(kept, contract=replace(kept.contract, preprocessing=selection.PREPROCESSING + 1))
    with pytest.raises(ModelUnavailable, match="is damaged or of an older version"):
        selection.int8_graph(kept)


def test_a_new_version_of_the_conversion_keeps_the_int8_model(
    files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer detector is no reason to gather photos again."""
    kept = replace(files, facenet_int8=tmp_path / "int8" / "facenet.xml")
    selection.keep_int8_graph(kept, lambda folder: write_graph(files, folder))
    monkeypatch.setattr(conversion, "CONVERSION", conversion.CONVERSION + 1)
    assert selection.int8_graph(kept) == kept.facenet_int8


def test_a_failed_quantization_leaves_the_model_that_was_there(files: ModelFiles, tmp_path: Path) -> None:
    kept = replace(files, facenet_int8=tmp_path / "int8" / "facenet.xml")
    selection.keep_int8_graph(kept, lambda folder: write_graph(files, folder))

    def fail(folder: Path) -> None:
        (folder / "facenet.xml").write_text("half of it")
        raise ModelUnavailable("too far off")

    with pytest.raises(ModelUnavailable, match="too far off"):
        selection.keep_int8_graph(kept, fail)
    assert selection.int8_graph(kept).read_bytes() == files.facenet.read_bytes()


def test_verification_needs_people_with_two_photos() -> None:
    enough = [f"person {index // 2}" for index in range(2 * precision.LEAST_PEOPLE)]
    assert precision.couples([*enough[:-1], "somebody else", None, None]) is None
    pairs = precision.couples([None, *enough])
    assert pairs is not None
    people = np.array(["", *enough])
    assert pairs.same.sum() == precision.LEAST_PEOPLE
    assert len(pairs.same) == 2 * precision.LEAST_PEOPLE
    np.testing.assert_array_equal(people[pairs.a] == people[pairs.b], pairs.same)
