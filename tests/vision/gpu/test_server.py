"""Requests of many callers are answered together; what one of them breaks harms no other."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import Overloaded
from service.values import Box, Detection, Rgb
from service.vision.gpu import process
from service.vision.gpu.link import GpuDetector, GpuEmbedder, GpuLink
from service.vision.gpu.process import Server

pytestmark = pytest.mark.torch

ODD, GREEDY, FATAL = 13, 14, 15
"""Heights of photos over which the search fails, runs out of memory, and breaks the GPU."""


@dataclass(slots=True)
class Search:
    """Finds a face as large as the photo; what it was asked for is remembered. `gate` holds it up."""

    batches: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    broken: bool = False

    def __call__(self, photos: Sequence[Rgb]) -> list[list[Detection]]:
        import torch

        self.gate.wait()
        self.batches.append(len(photos))
        heights = {photo.shape[0] for photo in photos}
        self.broken = FATAL in heights
        if heights & {ODD, FATAL}:
            raise ValueError("odd")
        if GREEDY in heights:
            raise torch.OutOfMemoryError
        points = ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))
        return [[Detection(Box(0.0, 0.0, photo.shape[1], photo.shape[0]), points, 0.5)] for photo in photos]

    def check(self) -> None:
        if self.broken:
            raise SystemExit


def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Each crop's first pixel, 512 times."""
    return np.repeat(crops[:, 0, 0, :1].astype(np.float32), 512, axis=1)


@pytest.fixture
def search() -> Search:
    search = Search()
    search.gate.set()
    return search


@pytest.fixture
def address(tmp_path: Path, search: Search) -> Iterator[str]:
    """Of a server in a thread."""
    address = str(tmp_path / "socket")
    starter, end = os.pipe()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        server = Server(search, embed, lambda: 5, search.check)

        def serve() -> None:
            with suppress(SystemExit):  # of Search.check
                server.serve(listener, starter)

        thread = threading.Thread(target=serve)
        thread.start()
        yield address
        search.gate.set()
        os.close(end)
        thread.join()
    os.close(starter)


@pytest.fixture
def link(address: str) -> Iterator[GpuLink]:
    link = GpuLink(address, limit_s=0.5)
    yield link
    link.close()


def photo(height: int) -> Rgb:
    return np.zeros((height, 40, 3), np.uint8)


def test_what_waits_is_answered_together(link: GpuLink, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a batch; each caller gets the answer for its own photo."""
    monkeypatch.setattr(process, "MAX_PHOTOS", 8)
    search.gate.clear()
    detector = GpuDetector(link, min_face=40)
    with ThreadPoolExecutor(21) as threads:
        found = [threads.submit(detector.detect, photo(100 + i)) for i in range(21)]
        while link._open is None or len(link._open._waiting) < 21:
            pass
        search.gate.set()
        assert [each.result()[0].box.bottom for each in found] == list(range(100, 121))
    assert sum(search.batches) == 21
    assert max(search.batches) == 8
    assert len(search.batches) <= 5
    [[detection]] = [each.result() for each in found[:1]]
    assert detection.landmarks == ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0))
    assert detection.score == 0.5
    assert link.memory_bytes == 5


def test_large_photos_make_small_batches(link: GpuLink, search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """But one alone is searched, however large."""
    monkeypatch.setattr(process, "MAX_PIXELS", 40 * 250)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(GpuDetector(link, min_face=40).detect, [photo(100)] * 5 + [photo(1000)]))
    assert sum(search.batches) == 6
    assert max(search.batches) <= 2


def test_embeddings_come_in_the_order_of_the_crops(link: GpuLink) -> None:
    """Of several callers at once, and of more crops than a request has."""
    crops = np.zeros((600, 160, 160, 3), np.uint8)
    crops[:, 0, 0, 0] = np.arange(600) % 251
    with ThreadPoolExecutor(4) as threads:
        embeddings = list(threads.map(GpuEmbedder(link).embed, [crops, crops[5:6], crops[7:12], crops[:3]]))
    for mine, expected in zip(embeddings, [crops, crops[5:6], crops[7:12], crops[:3]], strict=True):
        np.testing.assert_array_equal(mine, embed(expected))


def test_a_request_that_fails_is_told_and_harms_no_other(link: GpuLink) -> None:
    detector = GpuDetector(link, min_face=40)
    with pytest.raises(RuntimeError, match="GPU's process failed: ValueError"):
        detector.detect(photo(ODD))
    assert len(detector.detect(photo(100))) == 1


def test_a_photo_for_which_memory_is_too_little_is_refused(link: GpuLink) -> None:
    detector = GpuDetector(link, min_face=40)
    with pytest.raises(Overloaded, match="memory is full"):
        detector.detect(photo(GREEDY))
    assert len(detector.detect(photo(100))) == 1


def test_a_gpu_that_fails_ends_the_process(link: GpuLink) -> None:
    """Its starter starts another one; here there is none."""
    detector = GpuDetector(link, min_face=40)
    with pytest.raises(RuntimeError, match="GPU's process failed"):
        detector.detect(photo(FATAL))
    with pytest.raises(Overloaded, match="GPU's process"):
        detector.detect(photo(100))


def test_a_caller_who_leaves_in_the_middle_is_forgotten(address: str, link: GpuLink, search: Search) -> None:
    search.gate.clear()
    other = GpuLink(address)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(GpuDetector(other, min_face=40).detect, photo(100))
        while other._open is None or not other._open._waiting:
            pass
        other._open.close()
        search.gate.set()
        assert asked.exception() is not None or asked.result()
    assert len(GpuDetector(link, min_face=40).detect(photo(90))) == 1
