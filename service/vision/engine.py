"""From a photo's bytes to its faces: prepared in worker threads, embedded in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.values import Embedding, Face, Rgb
from service.vision.batcher import Batcher
from service.vision.decoding.pool import Reason
from service.vision.detector import FaceDetector
from service.vision.embedder import Embedder
from service.vision.loading import Networks, load_networks
from service.vision.networks import MAX_BATCH_S
from service.vision.preparation import Choice, Limits, Prepared
from service.vision.sharing import Sharing
from service.vision.workers import Workers


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
        on_batch: Callable[[int], None] = lambda _: None,
        on_stopped: Callable[[Reason], None] = lambda _: None,
        release: Callable[[], None] = lambda: None,
        gpu_memory_bytes: Callable[[], int] | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """`on_batch` is called with the number of crops of each batch, just before the model gets it.

        `on_stopped` is called with the reason for each decoding that was cut off. For the last three see Networks.
        """
        self._workers = Workers(detector, limits, workers, on_stopped)
        self._embedder = embedder
        self._sharing = sharing or Sharing(1)
        self._model_threads = ThreadPoolExecutor(self._sharing.threads, thread_name_prefix="embedder")
        self._batcher: Batcher[Rgb, Embedding] = Batcher(
            self._embed,
            max_batch=max_batch,
            max_queue=limits.max_queue,
            at_once=lambda: self._sharing.at_once,
            max_batch_s=MAX_BATCH_S,
        )
        self._on_batch = on_batch
        self._release = release
        self.gpu_memory_bytes = gpu_memory_bytes
        """What the engine's networks hold of a GPU's memory; None where they use none."""

    async def observe(
        self, photo: bytes, choose: Choice, timings: Timings, *, picture_side: int | None = None
    ) -> Observation:
        """The faces of a photo that `choose` wants, and its picture of `picture_side` pixels where that is given.

        Raises what images.decode raises for a photo that can't be used, what `choose` raises, and Overloaded where too
        much is waiting. Who has many photos waiting takes turns with others (`timings.caller`).
        """
        with self._sharing.photo():
            async with self._workers.turn(timings.caller) as turn:
                prepared = await self._workers.prepare(photo, choose, timings, picture_side, turn)
                # No other photo is begun until there is room for these, so that none that was looked at is refused.
                entered = [await self._batcher.enter(each, timings.caller) for each in prepared.crops]
            with timings.measure("embed"):
                embeddings = await asyncio.gather(*entered)
        faces = [Face(*each) for each in zip(prepared.detections, embeddings, prepared.qualities, strict=True)]
        return Observation(
            prepared.size, faces, prepared.picture, prepared.rotation, prepared.best_score, prepared.brightness
        )

    async def detect(self, photo: bytes, choose: Choice, timings: Timings) -> Prepared:
        """The faces of a photo that `choose` wants, without embeddings; raises what `observe` raises."""
        with self._sharing.photo():
            async with self._workers.turn(timings.caller) as turn:
                return await self._workers.prepare(photo, choose, timings, None, turn)

    @property
    def min_face(self) -> int:
        """Pixels of the smallest face that is looked for."""
        return self._workers.preparation.detector.min_face

    @property
    def workers(self) -> int:
        """Threads, each with a photo of its own."""
        return self._workers.threads

    @property
    def photos_waiting(self) -> int:
        """Photos that wait for a worker thread or are in one; at FACE_MAX_QUEUE more are refused."""
        return self._workers.waiting

    @property
    def crops_waiting(self) -> int:
        """Crops that wait for a batch; at FACE_MAX_QUEUE no more photos are begun."""
        return self._batcher.waiting

    async def warm(self) -> None:
        """Compile all that requests may need, alone or in a burst, beside them; start a process for unusual photos."""
        await asyncio.to_thread(self._embedder.warm)
        await asyncio.to_thread(self._workers.preparation.detector.warm)
        self._workers.start_decoding()

    async def close(self) -> None:
        """Fail what waits, and let the threads finish what they do."""
        self._workers.refuse()
        await self._batcher.close()
        await self._workers.close()
        self._model_threads.shutdown()
        await asyncio.to_thread(self._release)

    async def _embed(self, crops: Sequence[Rgb]) -> list[Embedding]:
        """A batch for the batcher, in a thread of the model's own."""
        self._on_batch(len(crops))
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._model_threads, self._embedder.embed, np.stack(crops)))


async def open_engine(
    settings: Settings,
    files: ModelFiles,
    on_batch: Callable[[int], None] = lambda _: None,
    on_stopped: Callable[[Reason], None] = lambda _: None,
    *,
    decoding_processes: int | None = None,
) -> Engine:
    """The engine that the settings ask for, its networks loaded; for the rest see engine_of.

    Raises what load_networks raises.
    """
    networks = await asyncio.to_thread(load_networks, settings, files)
    return engine_of(settings, networks, on_batch, on_stopped, decoding_processes=decoding_processes)


def engine_of(
    settings: Settings,
    networks: Networks,
    on_batch: Callable[[int], None] = lambda _: None,
    on_stopped: Callable[[Reason], None] = lambda _: None,
    *,
    decoding_processes: int | None = None,
) -> Engine:
    """An engine of networks that are loaded; for `on_batch` and `on_stopped` see Engine.

    It has a worker thread for each processor, and where photos are searched together, as many more as wait for that:
    those of a batch that is searched, and of one that gathers meanwhile. `decoding_processes` is how many photos that
    aren't ordinary are decoded at once, where it isn't as usual.
    """
    limits = Limits.of(settings)
    if decoding_processes is not None:
        limits = replace(limits, decoding_processes=decoding_processes)
    gathering = 2 * networks.photos_at_once if networks.photos_at_once > 1 else 0
    return Engine(
        networks.detector,
        networks.embedder,
        limits,
        workers=model_threads(settings) + gathering,
        max_batch=networks.crops_at_once,
        on_batch=on_batch,
        on_stopped=on_stopped,
        release=networks.release,
        gpu_memory_bytes=networks.gpu_memory_bytes,
        sharing=networks.sharing,
    )
