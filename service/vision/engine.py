"""From a photo's bytes to its faces: prepared in worker threads, embedded in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from service.errors import Overloaded
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.values import Embedding, Face, Rgb
from service.vision.batcher import Batcher
from service.vision.detector import FaceDetector
from service.vision.embedder import Embedder
from service.vision.loading import Networks, load_networks
from service.vision.preparation import Choice, Limits, Preparation, Prepared

MAX_WAIT_S = 0.0
"""No batch waits to fill: while one is computed, the next gathers by itself."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The chosen faces of a photo, in pixels of the upright photo at full size, whose `size` is (width, height).

    `rotation` is by how many degrees clockwise the photo, upright by its EXIF orientation, had to be turned for that:
    0, 90, 180 or 270. `picture` is the base64 of a small JPEG of the photo; empty where none was asked for, or no face
    was chosen. `best_score` is the detector's greatest certainty of any face, chosen or not; 0 where it found none.
    `brightness` is the photo's mean grey value, 0 to 255.
    """

    size: tuple[int, int]
    faces: list[Face]
    picture: str = ""
    rotation: int = 0
    best_score: float = 0.0
    brightness: float = 255.0


class Engine:
    """Owns the worker threads and the batcher; made inside a running event loop, and closed there."""

    def __init__(
        self,
        detector: FaceDetector,
        embedder: Embedder,
        limits: Limits,
        *,
        workers: int,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[int], None] = lambda _: None,
        release: Callable[[], None] = lambda: None,
        gpu_memory_bytes: Callable[[], int] | None = None,
    ) -> None:
        """`on_batch` is called with the number of crops of each batch, just before the model gets it.

        For the last two see Networks.
        """
        self._preparation = Preparation(detector, limits)
        self._embedder = embedder
        self.workers = workers
        """Threads, each with a photo of its own."""
        self._max_queue = limits.max_queue
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="photo")
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._batcher: Batcher[Rgb, Embedding] = Batcher(
            self._embed, max_batch=max_batch, max_wait_s=max_wait_s, max_queue=limits.max_queue
        )
        self._on_batch = on_batch
        self._release = release
        self.gpu_memory_bytes = gpu_memory_bytes
        """What the engine's networks hold of a GPU's memory; None where they use none."""
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
        faces = [Face(*each) for each in zip(prepared.detections, embeddings, prepared.qualities, strict=True)]
        return Observation(
            prepared.size, faces, prepared.picture, prepared.rotation, prepared.best_score, prepared.brightness
        )

    async def detect(self, photo: bytes, choose: Choice, timings: Timings) -> Prepared:
        """The faces of a photo that `choose` wants, without embeddings; raises what `observe` raises."""
        return await self._prepare_in_worker(photo, choose, timings, None)

    @property
    def min_face(self) -> int:
        """Pixels of the smallest face that is looked for."""
        return self._preparation.detector.min_face

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
    ) -> Prepared:
        """What takes milliseconds of processor time, in a worker. Raises Overloaded where too much waits."""
        if self._waiting >= self._max_queue:
            raise Overloaded("Too many photos are waiting; try again in a moment.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._workers, self._preparation.prepare, photo, choose, timings, picture_side
            )
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Fail what waits and let the threads finish what they do."""
        await self._batcher.close()
        self._workers.shutdown(cancel_futures=True)
        self._model_thread.shutdown()
        await asyncio.to_thread(self._release)

    async def _embed(self, crops: Sequence[Rgb]) -> list[Embedding]:
        """A batch for the batcher, in the model's own thread."""
        self._on_batch(len(crops))
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._model_thread, self._embedder.embed, np.stack(crops)))


async def open_engine(
    settings: Settings, files: ModelFiles, on_batch: Callable[[int], None] = lambda _: None
) -> Engine:
    """The engine that the settings ask for, its networks loaded; for `on_batch` see Engine.

    Raises what load_networks raises.
    """
    networks = await asyncio.to_thread(load_networks, settings, files)
    return engine_of(settings, networks, on_batch)


def engine_of(settings: Settings, networks: Networks, on_batch: Callable[[int], None] = lambda _: None) -> Engine:
    """An engine of networks that are loaded; for `on_batch` see Engine.

    It has a worker thread for each processor, and where photos are searched together, as many more as wait for that:
    those of a batch that is searched, and of one that gathers meanwhile.
    """
    gathering = 2 * networks.photos_at_once if networks.photos_at_once > 1 else 0
    return Engine(
        networks.detector,
        networks.embedder,
        Limits.of(settings),
        workers=model_threads(settings) + gathering,
        max_batch=networks.crops_at_once,
        max_wait_s=MAX_WAIT_S,
        on_batch=on_batch,
        release=networks.release,
        gpu_memory_bytes=networks.gpu_memory_bytes,
    )
