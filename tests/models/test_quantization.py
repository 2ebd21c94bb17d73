"""The int8 graph: kept whole or not at all, and refused rather than guessed."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import ModelUnavailable
from service.models import conversion, selection
from service.models.selection import ModelFiles
from service.vision.embedder import open_embedder

ROOT = Path(__file__).parents[2]


def write_graph(source: ModelFiles, folder: Path) -> None:
    """Some graph in place of an int8 one, for tests of how it is kept."""
    for suffix in (".xml", ".bin"):
        (folder / f"facenet{suffix}").write_bytes(source.facenet.with_suffix(suffix).read_bytes())


def test_the_extra_is_nncf() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [each.partition("==")[0] for each in project["optional-dependencies"]["int8"]] == ["nncf"]


def test_int8_without_a_model_says_what_makes_it(files: ModelFiles, tmp_path: Path) -> None:
    nothing = replace(files, facenet_int8=tmp_path / "facenet.xml")
    with pytest.raises(ModelUnavailable, match=r"casia-webface was not made yet; `python -m service quantize PHOTOS`"):
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
