"""Several processes that prepare photos for one GPU: a single one's interpreter lock would keep it waiting.

Each has an engine of its own, and all engines ask the one process that owns the GPU.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from indexer.importing.failures import CannotGoOn
from indexer.importing.local_engine import FACES, in_flight
from indexer.importing.pipeline import Observe
from service.errors import FaceServiceError
from service.gallery.enrollment import Candidate, observe_candidate
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import engine_of
from service.vision.gpu.link import hang_up
from service.vision.gpu.starting import GpuProcess
from service.vision.loading import gpu_options, networks_at

PHOTOS_OF_A_PROCESS = 8
"""Photos of each process that are searched at once."""

_NICENESS = 10
"""So that the GPU's process never waits for a processor, and the GPU for it."""


@asynccontextmanager
async def engine_processes(
    settings: Settings, weights: Path, faces: str, *, device: str = "cuda"
) -> AsyncIterator[tuple[Observe, int]]:
    """A pipeline's Observe, by a process for each processor, and for how many photos at once.

    Raises ModelUnavailable where the GPU's process doesn't start.
    """
    gpu = await asyncio.to_thread(GpuProcess, gpu_options(settings, weights, device))
    one = replace(settings, threads=1)
    processes = [_EngineProcess(one, gpu.address, faces) for _ in range(model_threads(settings))]
    try:
        yield _Spread(processes).observe, len(processes) * in_flight(2 * PHOTOS_OF_A_PROCESS) // 2
    finally:
        await asyncio.to_thread(_close, processes)
        await asyncio.to_thread(gpu.close)


def _close(processes: list[_EngineProcess]) -> None:
    for each in processes:
        each.close()


class _EngineProcess:
    """The parent's end of one process."""

    def __init__(self, settings: Settings, address: str, faces: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(theirs, settings, address, faces), daemon=True)
        self._process.start()
        theirs.close()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Candidate]] = {}
        self._loop = asyncio.get_running_loop()
        self.has_ended = False
        threading.Thread(target=self._read, name="engine-answers", daemon=True).start()

    @property
    def busy(self) -> int:
        """Photos that it has not answered yet."""
        return len(self._waiting)

    async def observe(self, content: bytes, remark: str) -> Candidate:
        """See pipeline.Observe; ChildProcessError where the process ends before it has answered."""
        number = next(self._numbers)
        future: asyncio.Future[Candidate] = self._loop.create_future()
        self._waiting[number] = future
        try:
            self._connection.send((number, content, remark))
        except OSError:
            self._end()
        return await future

    def close(self) -> None:
        """Have it finish and leave."""
        self.has_ended = True
        hang_up(self._connection)
        self._process.join()

    def _read(self) -> None:
        try:
            while True:
                number, answer = self._connection.recv()
                self._loop.call_soon_threadsafe(self._settle, number, answer)
        except (EOFError, OSError):
            if not self.has_ended:
                self._loop.call_soon_threadsafe(self._end)

    def _settle(self, number: int, answer: Candidate | Exception) -> None:
        future = self._waiting.pop(number)
        if future.done():
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _end(self) -> None:
        self.has_ended = True
        for number in list(self._waiting):
            self._settle(number, ChildProcessError())


class _Spread:
    """Gives each photo to the process that has least to do; once more where that one ended over it."""

    def __init__(self, processes: list[_EngineProcess]) -> None:
        self._processes = processes

    async def observe(self, content: bytes, remark: str) -> Candidate:
        """See pipeline.Observe."""
        for _ in range(2):
            running = [each for each in self._processes if not each.has_ended]
            if not running:
                raise CannotGoOn("All processes that prepare photos have ended; see the errors above.")
            try:
                chosen = min(running, key=_photos_under_way)
                return await chosen.observe(content, remark)
            except ChildProcessError:
                continue
        raise RuntimeError("Two processes that were to prepare the photo have ended.")


def _photos_under_way(process: _EngineProcess) -> int:
    return process.busy


def _run(connection: Connection, settings: Settings, address: str, faces: str) -> None:
    """What the process does, until its parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides when it is over
    os.nice(_NICENESS)
    asyncio.run(_answer_all(connection, settings, address, faces))


async def _answer_all(connection: Connection, settings: Settings, address: str, faces: str) -> None:
    engine = engine_of(settings, networks_at(address, settings, photos_at_once=PHOTOS_OF_A_PROCESS))
    choose = FACES[faces](settings)

    async def answer(number: int, content: bytes) -> None:
        try:
            candidate: Candidate | Exception = await observe_candidate(
                engine, content, choose, Timings(), picture_side=settings.picture_side, quality=settings.quality
            )
        except FaceServiceError as error:
            candidate = error
        except Exception as error:  # noqa: BLE001 - one photo's failure ends no process; the report names it
            candidate = RuntimeError(repr(error))  # others may not survive the way
        connection.send((number, candidate))

    try:
        async with asyncio.TaskGroup() as tasks:
            while True:
                number, content, _ = await asyncio.to_thread(connection.recv)
                tasks.create_task(answer(number, content))
    except* (EOFError, OSError):  # the parent is done, or gone
        pass
    finally:
        await engine.close()
