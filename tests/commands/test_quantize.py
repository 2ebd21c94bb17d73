"""The command `quantize`: an int8 model as good as float32 from a folder of photos, or a sentence that says why not."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.__main__ import main
from service.commands import precision, quantize
from service.errors import FaceNotFound, InvalidSettings, ModelUnavailable
from service.models.selection import ModelFiles
from service.settings import Settings
from service.vision.embedder import OpenVinoEmbedder, open_embedder


@pytest.fixture(scope="module")
def unmade(files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """casia-webface with a place of the tests' own for its int8 graph, where none is."""
    return replace(files, facenet_int8=tmp_path_factory.mktemp("models") / "casia-webface-int8" / "facenet.xml")


@pytest.fixture(scope="module")
def lfw(unmade: ModelFiles, shared: Path) -> quantize.FaceSample:
    return quantize.collect_faces(shared / "faces" / "lfw_mini", unmade, Settings(), most=50)


@pytest.mark.slow
def test_an_int8_model_agrees_with_float32_and_serves_every_batch(
    unmade: ModelFiles,
    lfw: quantize.FaceSample,
    embedder: OpenVinoEmbedder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "_ROUNDS", 1)  # its speed takes minutes to tell, and doesn't matter here
    monkeypatch.setattr(precision, "BATCHES", (1,))
    quantize.make_int8(unmade, lfw, crops=20, threads=2)
    printed = capsys.readouterr().out
    assert "| int8 " in printed
    assert "| 30 faces " in printed, "measured on the faces that were kept back"
    crops = np.stack(lfw.crops[:9])  # batches of 8 and 1
    int8 = open_embedder(unmade, compute="cpu", precision="int8", threads=2).embed(crops)
    assert int8.shape == (9, 512)
    np.testing.assert_allclose(np.linalg.norm(int8, axis=1), 1, rtol=1e-5)
    assert np.median(precision.cosines(int8, embedder.embed(crops))) >= 0.999


@pytest.mark.slow
def test_a_model_far_from_float32_is_not_kept(
    unmade: ModelFiles, lfw: quantize.FaceSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(unmade, facenet_int8=tmp_path / "int8" / "facenet.xml")
    monkeypatch.setattr(quantize, "LEAST_COSINE", 1.1)
    few = quantize.FaceSample(crops=lfw.crops[:6], people=lfw.people[:6])
    with pytest.raises(ModelUnavailable, match=r"too far from float32 \(median cosine "):
        quantize.make_int8(elsewhere, few, crops=50, threads=2)
    assert not elsewhere.facenet_int8.parent.exists()


def test_a_setting_that_cannot_be_used_ends_the_command_with_its_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACE_THREADS", "many")
    assert main(["quantize", str(tmp_path)]) == 1
    assert "FACE_THREADS" in capsys.readouterr().err


def test_no_calibration_with_no_crops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", str(tmp_path), "--crops", "0"]) == 1
    assert "--crops must be 1 or more" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="nowhere is not a folder"):
        quantize.collect_faces(tmp_path / "nowhere", files, Settings(), most=10)


@pytest.mark.slow
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
        quantize.collect_faces(tmp_path, files, Settings(), most=10)
    said = str(refused.value)
    for part in ("2 usable faces", "2 unreadable or too large", "1 without a usable face", "1 twice there", "needs 50"):
        assert part in said


@pytest.mark.slow
def test_every_folder_has_its_turn_before_one_has_many(
    files: ModelFiles, portraits: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person, count in (("many", 9), ("two", 2), ("alone", 1)):
        (tmp_path / person).mkdir()
        for index in range(count):  # a byte behind the picture makes it another file
            (tmp_path / person / f"{index}.jpg").write_bytes(portraits["obama"] + f"{person}{index}".encode())
    monkeypatch.setattr(quantize, "LEAST_FACES", 7)
    people = quantize.collect_faces(tmp_path, files, Settings(), most=7).people
    assert sorted(str(person) for person in people) == ["alone", *["many"] * 4, *["two"] * 2]


def test_verification_needs_people_with_two_photos() -> None:
    enough = [f"person {index // 2}" for index in range(2 * precision.LEAST_PEOPLE)]
    assert precision.couples([*enough[:-1], "somebody else", None, None]) is None
    pairs = precision.couples([None, *enough])
    assert pairs is not None
    people = np.array(["", *enough])
    assert pairs.same.sum() == precision.LEAST_PEOPLE
    assert len(pairs.same) == 2 * precision.LEAST_PEOPLE
    np.testing.assert_array_equal(people[pairs.a] == people[pairs.b], pairs.same)
