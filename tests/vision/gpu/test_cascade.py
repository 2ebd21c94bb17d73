"""Faces that are found in many photos at once are those that the processor's detector finds in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.models.mtcnn_weights import mtcnn_state_dicts
from service.values import Detection, Rgb
from service.vision.detector import Detector
from service.vision.gpu import cascade as gpu_cascade
from service.vision.gpu.cascade import Cascade, fixed_size
from tests.vision.gpu.conftest import pyramid_of

pytestmark = pytest.mark.torch


def check_same(found: list[list[Detection]], expected: list[list[Detection]]) -> int:
    """The same faces in the same order, to a hundredth of a pixel; how many there are."""
    assert [len(each) for each in found] == [len(each) for each in expected]
    pairs = [pair for each in zip(found, expected, strict=True) for pair in zip(*each, strict=True)]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.box, theirs.box, atol=0.01)
        np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=0.01)
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    return len(pairs)


@pytest.mark.slow
def test_faces_are_those_of_the_processors_detector(
    album_of_sizes: list[Rgb], cascade: Cascade, by_default: Detector
) -> None:
    """Of photos of different sizes, with and without faces, side by side."""
    found = cascade.detect(album_of_sizes, [pyramid_of(photo) for photo in album_of_sizes])
    assert check_same(found, [by_default.detect(photo) for photo in album_of_sizes]) >= 5


@pytest.mark.slow
def test_faces_of_real_photos_are_those_of_the_processors_detector(
    shared: Path, cascade: Cascade, by_default: Detector
) -> None:
    """Groups, profiles, masks and large photos: every third of them, in batches."""
    from PIL import Image

    paths = sorted(each for each in (shared / "faces" / "photos").rglob("*") if each.suffix in {".jpg", ".png"})[::3]
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    found = [
        each
        for i in range(0, len(photos), 8)
        for each in cascade.detect(photos[i : i + 8], [pyramid_of(photo) for photo in photos[i : i + 8]])
    ]
    assert check_same(found, [by_default.detect(photo) for photo in photos]) >= len(paths) // 2


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((300, 200, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (260, 260, 3), dtype=np.uint8),
        np.zeros((12, 3000, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["black", "noise", "a strip", "one pixel"],
)
def test_where_no_face_is_none_is_found(cascade: Cascade, photo: Rgb) -> None:
    assert cascade.detect([photo, photo], [pyramid_of(photo)] * 2) == [[], []]


def test_no_photos_have_no_faces(cascade: Cascade) -> None:
    assert cascade.detect([], []) == []


@pytest.mark.gpu
def test_a_gpu_finds_the_same_faces(album_of_sizes: list[Rgb], cascade: Cascade) -> None:
    pyramids = [pyramid_of(photo) for photo in album_of_sizes]
    on_gpu = Cascade(mtcnn_state_dicts(), "cuda")
    assert check_same(on_gpu.detect(album_of_sizes, pyramids), cascade.detect(album_of_sizes, pyramids)) >= 5


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128)])
def test_batches_are_filled_up_to_powers_of_two(count: int, size: int) -> None:
    assert fixed_size(count) == size
    assert fixed_size(count, 32) == max(size, 32)


@pytest.mark.slow
def test_what_a_batch_is_filled_up_with_changes_nothing(
    album_of_sizes: list[Rgb], cascade: Cascade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the parts in which canvases and candidates are looked at, where they are many."""
    pyramids = [pyramid_of(photo) for photo in album_of_sizes]
    found = cascade.detect(album_of_sizes, pyramids)
    monkeypatch.setattr(gpu_cascade, "_CANVAS_PIXELS", 2 * 96 * 144)
    monkeypatch.setattr(gpu_cascade, "_CROPS_AT_ONCE", 32)
    assert check_same(cascade.detect(album_of_sizes, pyramids), found) >= 5


@pytest.mark.gpu
def test_a_gpu_that_was_warmed_finds_the_same_faces(album_of_sizes: list[Rgb], cascade: Cascade) -> None:
    pyramids = [pyramid_of(photo) for photo in album_of_sizes]
    on_gpu = Cascade(mtcnn_state_dicts(), "cuda")
    on_gpu.warm()
    assert check_same(on_gpu.detect(album_of_sizes, pyramids), cascade.detect(album_of_sizes, pyramids)) >= 5


@pytest.mark.slow
def test_warming_runs_every_size_and_changes_nothing(
    album_of_sizes: list[Rgb], cascade: Cascade, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyramids = [pyramid_of(photo) for photo in album_of_sizes]
    found = cascade.detect(album_of_sizes, pyramids)
    monkeypatch.setattr(gpu_cascade, "_CANVAS_PIXELS", 1)
    monkeypatch.setattr(gpu_cascade, "_CROPS_AT_ONCE", 64)
    cascade.warm()
    assert cascade.detect(album_of_sizes, pyramids) == found
