"""From a photo's bytes to its faces: prepared in worker threads, embedded in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar, TypeVarTuple, Unpack, cast

import numpy as np

from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.values import Embedding, Face, Rgb
from service.vision.batcher import Batcher
from service.vision.decoding.child import Decoded
from service.vision.decoding.frames import Order
from service.vision.decoding.pool import DecodingPool, Reason
from service.vision.detector import Detector
from service.vision.embedder import Embedder, open_embedder
from service.vision.fair_queue import Turn, Turns
from service.vision.preparation import Choice, Elsewhere, Limits, Preparation, Prepared, Steps, Undecoded

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

MAX_BATCH = 8
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
        detector: Detector,
        embedder: Embedder,
        limits: Limits,
        *,
        workers: int,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[int], None] = lambda _: None,
        on_stopped: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        """`on_batch` is called with the number of crops of each batch, just before the model gets it.

        `on_stopped` is called with the reason for each decoding that was cut off.
        """
        self._limits = limits
        self._decoding = DecodingPool(limits.decoding_processes, limits.decode_s, on_stopped)
        self._preparation = Preparation(detector, limits)
        self._embedder = embedder
        self._turns = Turns(workers, max_waiting=limits.max_queue)
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="photo")
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._batcher: Batcher[Rgb, Embedding] = Batcher(
            self._embed, max_batch=max_batch, max_wait_s=max_wait_s, max_queue=limits.max_queue
        )
        self._on_batch = on_batch

    async def observe(
        self, photo: bytes, choose: Choice, timings: Timings, *, picture_side: int | None = None
    ) -> Observation:
        """The faces of a photo that `choose` wants, and its picture of `picture_side` pixels where that is given.

        Raises what images.decode raises for a photo that can't be used, what `choose` raises, and Overloaded where too
        much is waiting. Who has many photos waiting takes turns with others (`timings.caller`).
        """
        async with self._turns.turn(timings.caller) as turn:
            prepared = await self._prepare_in_worker(photo, choose, timings, picture_side, turn)
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
        async with self._turns.turn(timings.caller) as turn:
            return await self._prepare_in_worker(photo, choose, timings, None, turn)

    @property
    def min_face(self) -> int:
        """Pixels of the smallest face that is looked for."""
        return self._preparation.detector.min_face

    @property
    def photos_waiting(self) -> int:
        """Photos that wait for a worker thread or are in one; at FACE_MAX_QUEUE more are refused."""
        return self._turns.waiting

    @property
    def crops_waiting(self) -> int:
        """Crops that wait for a batch; at FACE_MAX_QUEUE no more photos are begun."""
        return self._batcher.waiting

    def start_decoding(self) -> None:
        """Have a process for unusual photos started, so that the first of them needn't wait for that."""
        self._decoding.start()

    async def warm(self) -> None:
        """Compile what only a burst of requests needs, beside the requests."""
        await asyncio.to_thread(self._embedder.warm)

    async def _prepare_in_worker(
        self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None, turn: Turn
    ) -> Prepared:
        """What takes milliseconds of processor time, in a worker.

        Unusual photos are decoded in another process, and others have the turn for as long as that takes.
        """
        steps = self._preparation.steps(photo, choose, timings, picture_side)
        done = await self._in_worker(_first, steps)
        while isinstance(done, Undecoded):
            order = Order(
                len(photo), self._limits.formats, self._limits.max_pixels, done.side, reduction=done.reduction
            )
            async with turn.lent():
                decoded = await self._decoding.decode(photo, order)
            done = await self._in_worker(_next, steps, decoded)
        return done

    async def _in_worker(self, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)

    async def close(self) -> None:
        """Fail what waits, kill the decoding processes and let the threads finish what they do."""
        self._turns.close()
        await self._batcher.close()
        await self._decoding.close()
        self._workers.shutdown(cancel_futures=True)
        self._model_thread.shutdown()

    async def _embed(self, crops: Sequence[Rgb]) -> list[Embedding]:
        """A batch for the batcher, in the model's own thread."""
        self._on_batch(len(crops))
        loop = asyncio.get_running_loop()
        return list(await loop.run_in_executor(self._model_thread, self._embedder.embed, np.stack(crops)))


def _first(steps: Steps) -> Undecoded | Prepared:
    """The preparation up to where it needs a picture, or to its end."""
    try:
        return next(steps)
    except StopIteration as done:
        return cast("Prepared", done.value)


def _next(steps: Steps, decoded: Decoded) -> Undecoded | Prepared:
    """Likewise, from where it has got the picture."""
    try:
        return steps.send(Elsewhere(decoded.size, decoded.reduction, decoded.picture()))
    except StopIteration as done:
        return cast("Prepared", done.value)


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
    embedder = open_embedder(
        files, compute=settings.compute, precision=settings.precision, threads=threads, mirror=settings.mirror
    )
    return Networks(detector, embedder)


async def open_engine(
    settings: Settings,
    files: ModelFiles,
    on_batch: Callable[[int], None] = lambda _: None,
    on_stopped: Callable[[Reason], None] = lambda _: None,
    *,
    decoding_processes: int | None = None,
) -> Engine:
    """The engine that the settings ask for, its networks loaded; for `on_batch` and `on_stopped` see Engine.

    `decoding_processes` is how many photos that aren't ordinary are decoded at once, where it isn't as usual.

    Raises what load_networks raises.
    """
    limits = Limits.of(settings)
    if decoding_processes is not None:
        limits = replace(limits, decoding_processes=decoding_processes)
    networks = await asyncio.to_thread(load_networks, settings, files)
    engine = Engine(
        networks.detector,
        networks.embedder,
        limits,
        workers=model_threads(settings),
        max_batch=MAX_BATCH,
        max_wait_s=MAX_WAIT_S,
        on_batch=on_batch,
        on_stopped=on_stopped,
    )
    engine.start_decoding()
    return engine
