"""Gathers the photos that worker threads look for faces in, so that the device searches many of them at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from service.values import Detection, Rgb
from service.vision.area_scaling import MAX_SIDE
from service.vision.gpu.cascade import Cascade
from service.vision.gpu.memory import in_halves
from service.vision.gpu.photos import size_of_sums
from service.vision.pyramid import CanvasLayout, lay_out, smallest_face

if TYPE_CHECKING:
    import torch

MAX_PHOTOS = 64
"""Photos of a batch."""
MAX_PIXELS = 2**25
"""Of all photos of a batch, unless it is a single one: each pixel takes 30 bytes."""
_MAX_SUMS = 2**31 - 1
"""Numbers of an integral image: places in it are counted in 32 bits."""


class _Waiting(NamedTuple):
    """A photo in the queue, its pyramid, and what its thread waits for."""

    photo: Rgb
    pyramid: Sequence[CanvasLayout]
    found: Future[list[Detection]]

    @property
    def pixels(self) -> int:
        return int(self.photo.shape[0] * self.photo.shape[1])


class BatchingDetector:
    """MTCNN on a device; called from many threads, it answers them together.

    No batch waits to fill: while one is searched, the next gathers by itself.
    """

    def __init__(
        self, cascade: Cascade, *, min_face: int, min_share: float, stream: torch.cuda.Stream | None = None
    ) -> None:
        """Sizes of faces as in detector.Detector; the work is done on `stream`, by one thread."""
        self._cascade = cascade
        self._stream = stream
        self.min_face = min_face
        self._min_share = min_share
        self._queue: list[_Waiting] = []
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detector")

    def detect(self, photo: Rgb) -> list[Detection]:
        """Every face in the photo, the largest first, in pixels of the photo.

        Raises Overloaded where the device's memory is too little for this photo alone.
        """
        height, width = photo.shape[:2]
        if max(height, width) > MAX_SIDE or size_of_sums(height, width) > _MAX_SUMS:
            return [each.scaled(2) for each in self.detect(photo[::2, ::2].copy())]
        pyramid = lay_out(height, width, smallest_face(height, width, min_face=self.min_face, share=self._min_share))
        if not pyramid:
            return []
        found: Future[list[Detection]] = Future()
        with self._lock:
            self._queue.append(_Waiting(photo, pyramid, found))
        self._thread.submit(self._answer_next)  # it may find that a call before took the photo along
        return found.result()

    def _answer_next(self) -> None:
        """Search what waits, as much as makes a batch, and answer its threads, be it with an error."""
        with self._lock:
            batch = self._queue[: _fitting(self._queue)]
            del self._queue[: len(batch)]
        if not batch:
            return
        try:
            detections = in_halves(self._search, batch)
        except Exception as error:  # noqa: BLE001 - every thread of the batch gets what was raised
            for each in batch:
                each.found.set_exception(error)
            return
        for each, found in zip(batch, detections, strict=True):
            each.found.set_result(found)

    def _search(self, batch: Sequence[_Waiting]) -> list[list[Detection]]:
        photos, pyramids = [each.photo for each in batch], [each.pyramid for each in batch]
        if self._stream is None:
            return self._cascade.detect(photos, pyramids)
        import torch

        with torch.cuda.stream(self._stream):
            return self._cascade.detect(photos, pyramids)


def _fitting(queue: Sequence[_Waiting]) -> int:
    """How many of the first photos make a batch."""
    pixels = 0
    for i, each in enumerate(queue[:MAX_PHOTOS]):
        pixels += each.pixels
        if i and pixels > MAX_PIXELS:
            return i
    return min(len(queue), MAX_PHOTOS)


def open_batching_detector(device: str, *, min_face: int, min_share: float) -> BatchingDetector:
    """MTCNN with its published weights on `cuda` or `cpu`, ready to be used.

    Raises ModelUnavailable where the weights are missing.
    """
    import numpy as np
    import torch

    from service.models.mtcnn_weights import mtcnn_state_dicts

    stream = None if device == "cpu" else torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    detector = BatchingDetector(
        Cascade(mtcnn_state_dicts(), device), min_face=min_face, min_share=min_share, stream=stream
    )
    detector.detect(np.zeros((min_face * 4, min_face * 4, 3), np.uint8))  # so that no request waits for CUDA to start
    return detector
