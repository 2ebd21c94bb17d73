"""The process that owns the GPU answers many threads as the networks would, outlives its callers, and is replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import ModelUnavailable, Overloaded
from service.models.selection import ModelFiles
from service.settings import Settings
from service.values import Rgb
from service.vision.detector import Detector
from service.vision.embedder import OpenVinoEmbedder
from service.vision.gpu import starting
from service.vision.gpu.link import GpuDetector, GpuEmbedder, GpuLink
from service.vision.gpu.messages import KEPT_BYTES
from service.vision.gpu.process import Options
from service.vision.gpu.starting import GpuProcess
from service.vision.loading import gpu_options

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.slow]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def options(files: ModelFiles) -> Options:
    """On the processor, in float32."""
    return gpu_options(replace(Settings(), precision="f32"), files.weights, "cpu")


@pytest.fixture(scope="module")
def process(options: Options) -> Iterator[GpuProcess]:
    process = GpuProcess(options)
    yield process
    process.close()
    assert not is_running(process.pid)
    assert not Path(process.address).exists()


@pytest.fixture
def link(process: GpuProcess) -> Iterator[GpuLink]:
    link = GpuLink(process.address)
    yield link
    link.close()


def test_threads_get_the_faces_and_embeddings_of_their_own_photos(
    link: GpuLink, album_of_sizes: list[Rgb], by_default: Detector, exact: OpenVinoEmbedder
) -> None:
    """Eight at once, though they are answered in batches."""
    detector, embedder = GpuDetector(link, min_face=40), GpuEmbedder(link)
    crops = [np.ascontiguousarray(np.resize(photo, (i % 3 + 1, 160, 160, 3))) for i, photo in enumerate(album_of_sizes)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(detector.detect, album_of_sizes))
        embeddings = list(threads.map(embedder.embed, crops))
    for photo, detections in zip(album_of_sizes, found, strict=True):
        expected = by_default.detect(photo)
        assert len(detections) == len(expected)
        for ours, theirs in zip(detections, expected, strict=True):
            np.testing.assert_allclose(ours.box, theirs.box, atol=0.01)
            np.testing.assert_allclose(ours.landmarks, theirs.landmarks, atol=0.01)
    for mine, each in zip(embeddings, crops, strict=True):
        assert (mine * exact.embed(each)).sum(axis=1).min() > 0.9999
    assert link.memory_bytes == 0  # of a GPU, which there isn't


def test_a_photo_too_large_for_memory_that_is_kept(link: GpuLink, by_default: Detector) -> None:
    """Again and again, and smaller ones after it."""
    detector = GpuDetector(link, min_face=40)
    large = np.zeros((700, 900, 3), np.uint8)
    assert large.size > KEPT_BYTES
    for photo in (large, large[:100, :100].copy(), large, large[::2, ::2]):
        assert detector.detect(photo) == []


def test_a_photo_longer_than_places_can_be_counted_is_searched_at_half_its_size(link: GpuLink) -> None:
    assert GpuDetector(link, min_face=40).detect(np.zeros((50, 40_000, 3), np.uint8)) == []


def test_a_caller_who_leaves_without_a_word_disturbs_nobody(process: GpuProcess, link: GpuLink) -> None:
    other = GpuLink(process.address)
    crops = np.zeros((2, 160, 160, 3), np.uint8)
    assert GpuEmbedder(other).embed(crops).shape == (2, 512)
    other.close()
    assert GpuEmbedder(link).embed(crops).shape == (2, 512)


@pytest.mark.parametrize("min_life_s", [0.0, 1000.0])
def test_a_process_that_is_killed_is_replaced(
    options: Options, monkeypatch: pytest.MonkeyPatch, min_life_s: float
) -> None:
    """Whoever asked meanwhile is answered by the next one, started after a pause where the first had a short life."""
    monkeypatch.setattr(starting, "MIN_LIFE_S", min_life_s)
    process = GpuProcess(options)
    link = GpuLink(process.address, limit_s=120.0)
    try:
        first = process.pid
        embedder = GpuEmbedder(link)
        crops = np.zeros((1, 160, 160, 3), np.uint8)
        before = embedder.embed(crops)
        os.kill(first, signal.SIGKILL)
        np.testing.assert_allclose(embedder.embed(crops), before, atol=1e-6)
        assert process.pid != first
    finally:
        link.close()
        process.close()


def test_a_process_that_is_gone_is_waited_for_no_longer_than_allowed(options: Options) -> None:
    process = GpuProcess(options)
    process.close()
    with pytest.raises(Overloaded, match="can't be reached"):
        GpuEmbedder(GpuLink(process.address, limit_s=0.3)).embed(np.zeros((1, 160, 160, 3), np.uint8))


def test_a_process_that_can_not_start_says_why(options: Options, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="The GPU can't be used"):
        GpuProcess(replace(options, weights=str(tmp_path / "none.safetensors")))
