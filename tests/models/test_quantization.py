"""The int8 graph: made of published ranges by itself, else by calibration; kept whole, or refused by a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import ModelUnavailable
from service.models import conversion, int8
from service.models.int8_graph import measure_ranges, quantized, write_int8_graph
from service.models.int8_ranges import published_ranges, read_ranges
from service.models.runtimes import multiplies_int8
from service.models.selection import PREPROCESSING, ModelFiles
from service.vision.embedder import open_embedder


def write_graph(source: ModelFiles, folder: Path) -> None:
    """Some graph in place of an int8 one, for tests of how it is kept."""
    for suffix in (".xml", ".bin"):
        (folder / f"facenet{suffix}").write_bytes(source.facenet.with_suffix(suffix).read_bytes())


@pytest.fixture
def own(files: ModelFiles, tmp_path: Path) -> ModelFiles:
    """Weights of somebody's own, whose ranges nobody published, with a place for their int8 graph, where none is."""
    contract = replace(files.contract, model="custom", digest="0" * 64)
    return replace(files, contract=contract, facenet_int8=tmp_path / "int8" / "facenet.xml")


@pytest.fixture(scope="module")
def published(files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """casia-webface, with a place for its int8 graph, where none is yet."""
    return replace(files, facenet_int8=tmp_path_factory.mktemp("models") / "int8" / "facenet.xml")


def test_published_weights_need_no_calibration(published: ModelFiles) -> None:
    assert not published.facenet_int8.exists()
    made = int8.int8_graph(published)
    assert made.with_suffix(".bin").stat().st_size < 0.6 * published.facenet.with_suffix(".bin").stat().st_size
    written_at = made.stat().st_mtime_ns
    assert int8.int8_graph(published) == made
    assert made.stat().st_mtime_ns == written_at, "it is made once"


def test_all_convolutions_but_the_first_two_multiply_integers(files: ModelFiles) -> None:
    ranges = published_ranges(files.contract.digest)
    assert ranges is not None
    ops = quantized(files.facenet, ranges).get_ordered_ops()
    convolutions = [each for each in ops if each.get_type_name() == "Convolution"]
    kinds = [each.input_value(1).get_node().get_type_name() for each in convolutions]
    assert kinds == ["Convert"] * 2 + ["Multiply"] * 130
    rounded = [each for each in ops if each.get_type_name() == "FakeQuantize"]
    assert len(rounded) == len(ranges), "each tensor is rounded once, however many convolutions read it"
    for convolution in convolutions[2:]:
        before = convolution.input_value(0).get_node()
        before = before.input_value(0).get_node() if before.get_type_name() == "MaxPool" else before
        assert before.get_type_name() == "FakeQuantize"


def test_ranges_are_published_for_every_tensor_of_both_models(files: ModelFiles) -> None:
    """Both are one network, so that the layers of one are those of the other."""
    layers = measure_ranges(files.facenet, np.zeros((1, 160, 160, 3), np.uint8), threads=1).keys()
    models = read_ranges()
    assert models.keys() == {"casia-webface", "vggface2"}
    for measured in models.values():
        assert measured["ranges"].keys() == layers
        assert all(0.1 < each < 100 for each in measured["ranges"].values())
        assert measured["faces"] >= 300


def test_ranges_of_another_network_are_refused(files: ModelFiles, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="another network's"):
        write_int8_graph(files.facenet, {"conv2d_2a.relu": 1.0}, tmp_path / "facenet.xml")


def test_other_weights_say_what_makes_their_int8_model(own: ModelFiles) -> None:
    with pytest.raises(ModelUnavailable, match=r"custom was not made yet; `python -m service quantize PHOTOS`"):
        open_embedder(own, compute="cpu", precision="int8", threads=1)


@pytest.mark.parametrize("damage", ["flip a bit", "other weights", "older crops"])
def test_a_damaged_or_foreign_int8_model_is_noticed(files: ModelFiles, own: ModelFiles, damage: str) -> None:
    int8.keep_int8_graph(own, lambda folder: write_graph(files, folder))
    assert int8.int8_graph(own) == own.facenet_int8
    if damage == "flip a bit":
        weights = own.facenet_int8.with_suffix(".bin")
        content = bytearray(weights.read_bytes())
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif damage == "other weights":
        own = replace(own, contract=replace(own.contract, digest="1" * 64))
    else:
        own = replace(own, contract=replace(own.contract, preprocessing=PREPROCESSING + 1))
    with pytest.raises(ModelUnavailable, match="is damaged or of an older version"):
        int8.int8_graph(own)


def test_a_damaged_int8_model_of_published_weights_is_made_anew(published: ModelFiles) -> None:
    weights = int8.int8_graph(published).with_suffix(".bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    int8.int8_graph(published)
    assert weights.read_bytes() == whole


def test_what_was_calibrated_here_goes_before_the_published_ranges(files: ModelFiles, tmp_path: Path) -> None:
    kept = replace(files, facenet_int8=tmp_path / "int8" / "facenet.xml")
    int8.keep_int8_graph(kept, lambda folder: write_graph(files, folder))
    assert int8.int8_graph(kept).read_bytes() == files.facenet.read_bytes()


def test_a_new_version_of_the_conversion_keeps_what_was_calibrated_here(
    files: ModelFiles, own: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer detector is no reason to gather photos again."""
    int8.keep_int8_graph(own, lambda folder: write_graph(files, folder))
    monkeypatch.setattr(int8, "CONVERSION", conversion.CONVERSION + 1)
    assert int8.int8_graph(own) == own.facenet_int8


def test_a_failed_quantization_leaves_the_model_that_was_there(files: ModelFiles, own: ModelFiles) -> None:
    int8.keep_int8_graph(own, lambda folder: write_graph(files, folder))

    def fail(folder: Path) -> None:
        (folder / "facenet.xml").write_text("half of it")
        raise ModelUnavailable("too far off")

    with pytest.raises(ModelUnavailable, match="too far off"):
        int8.keep_int8_graph(own, fail)
    assert int8.int8_graph(own).read_bytes() == files.facenet.read_bytes()


class TestAutomatically:
    """FACE_PRECISION=auto."""

    def test_a_processor_with_instructions_for_int8_gets_it(
        self, published: ModelFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(int8, "multiplies_int8", lambda: True)
        assert int8.facenet_graph(published, "auto") == (published.facenet_int8, "auto")
        assert int8.facenet_graph(published, "f32") == (published.facenet, "f32")

    def test_another_processor_stays_with_float(self, published: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(int8, "multiplies_int8", lambda: False)
        assert int8.facenet_graph(published, "auto") == (published.facenet, "auto")

    def test_weights_without_ranges_stay_with_float(self, own: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(int8, "multiplies_int8", lambda: True)
        assert int8.facenet_graph(own, "auto") == (own.facenet, "auto")

    def test_a_folder_that_cannot_be_written_stays_with_float(
        self, published: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(int8, "multiplies_int8", lambda: True)
        (tmp_path / "file").touch()
        nowhere = replace(published, facenet_int8=tmp_path / "file" / "int8" / "facenet.xml")
        assert int8.facenet_graph(nowhere, "auto") == (nowhere.facenet, "auto")
        assert "FaceNet runs in float. The int8 model can't be kept in" in caplog.text
        with pytest.raises(ModelUnavailable, match="can't be kept in"):
            int8.facenet_graph(nowhere, "int8")

    @pytest.mark.parametrize(
        ("flags", "quick"),
        [
            ("fpu avx2 fma", False),
            ("fpu avx2 avx512f avx512_vnni", True),
            ("fpu avx2 avx_vnni", True),
            ("fpu avx2 amx_tile amx_int8", True),
        ],
    )
    def test_the_processor_is_asked_for_its_instructions(self, flags: str, quick: bool, tmp_path: Path) -> None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: avx512_vnni\n\n")
        assert multiplies_int8(tmp_path / "cpuinfo") is quick

    def test_an_unknown_processor_counts_as_one_without(self, tmp_path: Path) -> None:
        assert not multiplies_int8(tmp_path / "no such file")
