"""The audit trail of a running service: a thread writes, so that a recognition waits for no disk.

What changes something is written down as begun while it is carried out, and answered once that is on the disk. So a
kill loses the event of no change that was answered; what the event says of the outcome may be lost.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from service.audit.events import Erasure, Event, Renaming, Selection
from service.audit.trail_file import TrailFile
from service.errors import AuditUnavailable

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Steps that may wait for the thread; beyond, recognitions are answered without an event, and changes refused."""
TOGETHER = 256
"""Steps that are written at once."""
EXPIRY_PAUSE_S = 3600.0

_CANNOT = "The audit trail can't be written, so nothing may be changed; tell the service's operator."

Step = Callable[[TrailFile], None]


class Trail:
    """Writes events, in the order in which they come."""

    def __init__(self, path: Path, days: int, clock: Callable[[], datetime]) -> None:
        """Events are kept for so many days; `clock` gives aware times. Raises AuditUnavailable."""
        self._path = path
        self._kept = timedelta(days=days)
        self._clock = clock
        TrailFile(path).close()  # so that a service whose trail can't be written doesn't start
        self._loop = asyncio.get_running_loop()
        self._steps: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lost = 0
        self.failing = False
        """Whether the last writing failed."""
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> asyncio.Future[None]:
        """Write an event, or what became of one that was begun; done when it is on disk, else AuditUnavailable."""
        return self._add(lambda file: file.put(event))

    def put_soon(self, event: Event) -> None:
        """Write an event that nobody waits for; where that isn't possible, the log says so and counts those lost."""
        self.put(event).add_done_callback(self._count_lost)

    def change_names(self, change: Erasure | Renaming) -> asyncio.Future[None]:
        """Take names out of all events, or give them their new ones."""
        if isinstance(change, Erasure):
            return self._add(lambda file: file.erase(change), shrink=True)
        return self._add(lambda file: file.rename(change))

    def erase_faces(self, gallery: str, face_ids: Sequence[int]) -> asyncio.Future[None]:
        """Take the names of some faces out of all events."""
        erasures = [Erasure(gallery=gallery, face_id=each) for each in face_ids]

        def erase(file: TrailFile) -> None:
            for each in erasures:
                file.erase(each)

        return self._add(erase, shrink=True)

    async def page(self, wanted: Selection) -> list[Event]:
        """Events of a selection, the oldest first, those that were put before among them. Raises AuditUnavailable."""
        await self._add(_nothing)
        return await asyncio.to_thread(partial(read_page, self._path, wanted, self._clock()))

    async def keep_for_its_days(self, pause_s: float = EXPIRY_PAUSE_S) -> None:
        """Until cancelled: forget what is too old, now and then."""
        while True:
            try:
                await self._add(_forgetting(self._clock() - self._kept), shrink=True)
            except AuditUnavailable as error:
                log.error("Old events could not be removed: %s", error)
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Write what still waits, and end the thread."""
        self._steps.put(None)
        await asyncio.to_thread(self._thread.join)

    def _add(self, step: Step, *, shrink: bool = False) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        done.add_done_callback(_retrieve)
        if self._waiting >= MAX_WAITING:
            done.set_exception(AuditUnavailable("The audit trail can't keep up; try again later."))
            return done
        self._waiting += 1
        self._steps.put(_Waiting(step, done, shrink))
        return done

    def _count_lost(self, done: asyncio.Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._lost += 1
        elif self._lost:
            log.error("The audit trail is written again; it lacks %d outcomes of requests.", self._lost)
            self._lost = 0

    def _write_all(self) -> None:
        """The thread: what waits is written together, so that many requests share one wait for the disk."""
        file: TrailFile | None = None
        while (first := self._steps.get()) is not None:
            together = [first]
            while len(together) < TOGETHER and not self._steps.empty():
                another = self._steps.get()
                if another is None:
                    self._steps.put(None)  # the end comes after these
                    break
                together.append(another)
            error: AuditUnavailable | None = None
            try:
                if file is not None and not file.is_in_place():
                    file.close()
                    file = None
                file = file or TrailFile(self._path)
                file.write([each.step for each in together])
                if any(each.shrink for each in together):
                    file.shrink()
            except AuditUnavailable as raised:
                error = raised
            self._loop.call_soon_threadsafe(self._finish, together, error)
        if file is not None:
            file.close()

    def _finish(self, together: list[_Waiting], error: AuditUnavailable | None) -> None:
        self._waiting -= len(together)
        if error is not None and not self.failing:
            log.error("%s Until then nothing is changed, and recognitions aren't written down.", error)
        self.failing = error is not None
        for each in together:
            if each.done.done():
                continue
            if error is None:
                each.done.set_result(None)
            else:
                each.done.set_exception(AuditUnavailable(_CANNOT))  # clients need not know the file


class _Waiting(NamedTuple):
    step: Step
    done: asyncio.Future[None]
    shrink: bool


def _nothing(_: TrailFile) -> None:
    """What comes before it has been written."""


def _forgetting(time: datetime) -> Step:
    return lambda file: file.forget_before(time)


def read_page(path: Path, wanted: Selection, now: datetime) -> list[Event]:
    """Events of a file, which another process may be writing. Raises AuditUnavailable."""
    file = TrailFile(path)
    try:
        return file.page(wanted, now)
    finally:
        file.close()


def _retrieve(done: asyncio.Future[None]) -> None:
    """So that asyncio doesn't complain of a failure that nobody waits for."""
    if not done.cancelled():
        done.exception()
