"""From a photo's bytes to its faces: decode, detect and crop in worker threads, embed in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.errors import Overloaded
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.values import CROP_SIDE, Detection, Embedding, Face, Rgb
from service.vision.batcher import Batcher
from service.vision.detector import Detector, crop
from service.vision.embedder import Embedder, open_embedder
from service.vision.images import accept, readable_formats, to_base64, to_jpeg

MAX_BATCH = 8
MAX_WAIT_S = 0.0
"""No batch waits to fill: while one is computed, the next gathers by itself."""

Choice = Callable[[list[Detection]], list[Detection]]
"""Which of a photo's detections (the largest first) are wanted, so that no other is embedded; may raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an engine takes on: bytes, pixels and formats of a photo, the longer side searched, how much may wait."""

    max_bytes: int
    max_pixels: int
    formats: tuple[str, ...]
    search_side: int
    max_queue: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those that the settings ask for, over all formats that can be read here."""
        return cls(
            max_bytes=settings.max_bytes,
            max_pixels=settings.max_pixels,
            formats=readable_formats(),
            search_side=settings.search_side,
            max_queue=settings.max_queue,
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """The chosen faces of a photo, in pixels of the upright photo at full size, whose `size` is (width, height).

    `picture` is the base64 of a small JPEG of the photo; empty where none was asked for, or no face was chosen.
    """

    size: tuple[int, int]
    faces: list[Face]
    picture: str = ""


class _Prepared(NamedTuple):
    """What a worker hands to the event loop: some 100 KB, never the photo's pixels."""

    size: tuple[int, int]
    detections: list[Detection]
    crops: list[Rgb]
    picture: str


class Engine:
    """Owns the worker threads and the batcher; made inside a running event loop, and closed there."""

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        limits: Limits,
        *,
        workers: int,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_batch` is called with the number of crops of each batch, just before the model gets it."""
        self._detector = detector
        self._embedder = embedder
        self._limits = limits
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="photo")
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._batcher: Batcher[Rgb, Embedding] = Batcher(
            self._embed, max_batch=max_batch, max_wait_s=max_wait_s, max_queue=limits.max_queue
        )
        self._on_batch = on_batch
        self._waiting = 0

    async def observe(
        self, photo: bytes, choose: Choice, timings: Timings, *, picture_side: int | None = None
    ) -> Observation:
        """The faces of a photo that `choose` wants, and its picture of `picture_side` pixels where that is given.

        Raises what images.decode raises for a photo that can't be used, what `choose` raises, and Overloaded where too
        much is waiting.
        """
        prepared = await self._prepare_in_worker(photo, choose, timings, picture_side)
        with timings.measure("embed"):
            embeddings = await asyncio.gather(*(self._batcher.submit(each) for each in prepared.crops))
        faces = [Face(*each) for each in zip(prepared.detections, embeddings, strict=True)]
        return Observation(prepared.size, faces, prepared.picture)

    @property
    def min_face(self) -> int:
        """Pixels of the smallest face that is looked for."""
        return self._detector.min_face

    @property
    def photos_waiting(self) -> int:
        """Photos that wait for a worker thread or are in one; at FACE_MAX_QUEUE more are refused."""
        return self._waiting

    @property
    def crops_waiting(self) -> int:
        """Crops that wait for a batch; at FACE_MAX_QUEUE more are refused."""
        return self._batcher.waiting

    async def warm(self) -> None:
        """Compile what only a burst of requests needs, beside the requests."""
        await asyncio.to_thread(self._embedder.warm)

    async def _prepare_in_worker(
        self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None
    ) -> _Prepared:
        """What takes milliseconds of processor time, in a worker. Raises Overloaded where too much waits."""
        if self._waiting >= self._limits.max_queue:
            raise Overloaded("Too many photos are waiting; try again in a moment.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, self._prepare, photo, choose, timings, picture_side)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Fail what waits and let the threads finish what they do."""
        await self._batcher.close()
        self._workers.shutdown(cancel_futures=True)
        self._model_thread.shutdown()

    def _prepare(self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None) -> _Prepared:
        """A worker's part of `observe`: the one visit in which everything is made of the photo's pixels."""
        limits = self._limits
        with timings.measure("decode"):
            accepted = accept(photo, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, formats=limits.formats)
            reduction = accepted.reduction_to(limits.search_side)
            upright = accepted.decode(reduction)
        with timings.measure("detect"):
            found = choose(self._detector.detect(np.asarray(upright)))
        with timings.measure("crop"):
            detections = [each.scaled(reduction) for each in found] if reduction > 1 else found
            sharp, sharp_reduction = upright, _reduction_for_crops(detections, reduction)
            if sharp_reduction < reduction:
                sharp = accepted.decode(sharp_reduction)
            crops = [crop(sharp, each.box.scaled(1 / sharp_reduction)) for each in detections]
        picture = ""
        if crops and picture_side is not None:
            with timings.measure("picture"):
                picture = to_base64(to_jpeg(upright, picture_side))
        return _Prepared(accepted.upright_size(upright), detections, crops, picture)

    async def _embed(self, crops: Sequence[Rgb]) -> list[Embedding]:
        """A batch for the batcher, in the model's own thread."""
        self._on_batch(len(crops))
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._model_thread, self._embedder.embed, np.stack(crops)))


def _reduction_for_crops(detections: list[Detection], reduction: int) -> int:
    """How much the photo may be reduced, at most `reduction`, for the smallest of these faces to fill a crop."""
    sides = [min(each.box.width, each.box.height) for each in detections]
    while reduction > 1 and sides and min(sides) / reduction < CROP_SIDE:
        reduction //= 2
    return reduction


class Networks(NamedTuple):
    """What an engine runs, compiled; engines may share it."""

    detector: Detector
    embedder: Embedder


def load_networks(settings: Settings, files: ModelFiles) -> Networks:
    """Compile what the settings ask for, which takes seconds.

    Raises InvalidSettings or ModelUnavailable where there is no such device or model.
    """
    threads = model_threads(settings)
    detector = Detector(files, threads=threads, min_face=settings.min_face, min_share=settings.min_share)
    embedder = open_embedder(files, compute=settings.compute, precision=settings.precision, threads=threads)
    return Networks(detector, embedder)


async def open_engine(
    settings: Settings, files: ModelFiles, on_batch: Callable[[int], None] = lambda _: None
) -> Engine:
    """The engine that the settings ask for, its networks loaded; for `on_batch` see Engine.

    Raises what load_networks raises.
    """
    networks = await asyncio.to_thread(load_networks, settings, files)
    return Engine(
        networks.detector,
        networks.embedder,
        Limits.of(settings),
        workers=model_threads(settings),
        max_batch=MAX_BATCH,
        max_wait_s=MAX_WAIT_S,
        on_batch=on_batch,
    )
