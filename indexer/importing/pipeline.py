"""From files to the gallery, bounded at every step: faces found side by side, written in groups, journalled."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from indexer.importing.failures import CannotGoOn, entry_of, has_changed
from indexer.importing.journal import Entry, Journal
from indexer.importing.outcomes import Line, Outcome
from indexer.importing.photo_files import Item, Photo
from indexer.importing.report import Report
from indexer.progress import Progress
from service.errors import ImageTooLarge
from service.gallery.enrollment import Candidate

log = logging.getLogger(__name__)

GROUP_FACES = 128
"""Faces that are written into the gallery at once; photos without a face are journalled along with them."""

GROUP_LIMIT_S = 2.0
"""A group is written after so long though it isn't full."""

FILES_AT_ONCE = 256
"""Files that are listed at once, in a thread."""

Observe = Callable[[bytes, str], Awaitable[Candidate]]
"""A photo's bytes and its remark to its faces; raises what service.gallery.gallery.observe raises, or Refused."""

Written = tuple[Outcome, int | None]
"""What became of a face, and its face_id where that is known."""

Write = Callable[[Sequence[tuple[Candidate, str]]], Awaitable[list[list[Written]]]]
"""Candidates with their remarks into the gallery; for each, what became of its faces. Durable once it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How photos get into a gallery: `in_flight` are observed side by side, each of at most `max_bytes`."""

    observe: Observe
    write: Write
    in_flight: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class _Observed:
    """A photo after its observation: either it has a candidate, or the entry says what became of it."""

    photo: Photo
    milliseconds: float
    sha256: str = ""
    candidate: Candidate | None = None
    entry: Entry | None = None


@dataclass(slots=True)
class Pipeline:
    """Imports whatever `run` is given, until `stopping`; what it has begun by then is finished.

    A file that was changed within the last `settle_s` seconds, or while it was read, is left for the next `run`; with 0
    it is taken as it is. With `only_new` nothing is said of files that the journal knows.
    """

    target: Target
    journal: Journal
    report: Report
    progress: Progress
    settle_s: float = 0.0
    only_new: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, items: Iterator[Item], limit: int | None = None) -> None:
        """Import; of photos that aren't known yet `limit` at most. `items` are drawn in a thread.

        Raises CannotGoOn, JournalUnavailable or ReportUnavailable when it can't go on.
        """
        photos: asyncio.Queue[Photo | None] = asyncio.Queue(self.target.in_flight)
        observed: asyncio.Queue[_Observed | None] = asyncio.Queue(GROUP_FACES)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_groups(observed))
                workers = [tasks.create_task(self._observe_all(photos, observed)) for _ in range(self.target.in_flight)]
                await self._feed(items, photos, limit)
                for _ in workers:
                    await photos.put(None)
                await asyncio.wait(workers)
                await observed.put(None)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _feed(self, items: Iterator[Item], photos: asyncio.Queue[Photo | None], limit: int | None) -> None:
        taken = 0
        while chunk := await asyncio.to_thread(list, islice(items, FILES_AT_ONCE)):
            for item in chunk:
                if self.stopping.is_set() or taken == limit:
                    return
                if isinstance(item, Line):
                    self._report_lines([item])
                elif known := self.journal.find(item):
                    if not self.only_new:
                        self._report_lines(_lines_of(known))
                elif not 0 <= time.time() - item.modified_ns / 1e9 < self.settle_s:
                    await photos.put(item)
                    taken += 1
            self.report.flush()

    async def _observe_all(
        self, photos: asyncio.Queue[Photo | None], observed: asyncio.Queue[_Observed | None]
    ) -> None:
        while (photo := await photos.get()) is not None:
            observation = await self._observe(photo)
            if observation is not None:
                await observed.put(observation)

    async def _observe(self, photo: Photo) -> _Observed | None:
        """None for a file that is being written and will be met again."""
        began = time.perf_counter()
        sha256, candidate, entry = "", None, None
        try:
            if photo.size > self.target.max_bytes:
                raise ImageTooLarge(f"The file has more than FACE_MAX_BYTES={self.target.max_bytes} bytes.")
            content, sha256 = await asyncio.to_thread(_read, photo.path, self.target.max_bytes)
            entry = self.journal.find_content(photo, sha256)
            if entry is None:
                candidate = await self.target.observe(content, photo.remark)
        except CannotGoOn:
            raise
        except Exception as error:  # noqa: BLE001 - one photo's failure ends no import; the report names it
            if self.settle_s and has_changed(photo):
                return None
            entry = entry_of(photo, sha256, error)
        return _Observed(photo, (time.perf_counter() - began) * 1000, sha256, candidate, entry)

    async def _write_groups(self, observed: asyncio.Queue[_Observed | None]) -> None:
        ended = False
        while not ended:
            group, ended = await _next_group(observed)
            if group:
                await self._write_group(group)

    async def _write_group(self, group: Sequence[_Observed]) -> None:
        """The gallery first, the journal then: it must never claim more than the gallery has."""
        candidates = [(each.candidate, each.photo.remark) for each in group if each.candidate]
        written = iter(await self.target.write(candidates) if candidates else [])
        entries, lines = [], []
        for each in group:
            if each.entry:
                entries.append(each.entry)
                lines += _lines_of(each.entry, each.milliseconds)
            else:
                faces = next(written)
                face_ids = tuple(face_id for _, face_id in faces if face_id is not None)
                final = all(outcome is not Outcome.OTHER_REMARK for outcome, _ in faces)  # that one may be deleted
                entries.append(Entry(each.photo, each.sha256, faces[0][0], face_ids=face_ids, final=final))
                path = str(each.photo.path)
                lines += [
                    Line(path, outcome, face_id=face_id, milliseconds=each.milliseconds) for outcome, face_id in faces
                ]
        self.journal.record(entries)
        self._report_lines(lines, files=len(group))
        self.report.flush()

    def _report_lines(self, lines: Iterable[Line], files: int = 1) -> None:
        failed = 0
        for line in lines:
            self.report.add(line)
            failed += line.outcome.is_failure
        self.progress.advance(files)
        self.progress.note(failed)


def _read(path: Path, max_bytes: int) -> tuple[bytes, str]:
    """A file's bytes, no more than are needed to see that they are too many, and their digest in hex."""
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    return content, hashlib.sha256(content).hexdigest()


def _lines_of(entry: Entry, milliseconds: float = 0.0) -> list[Line]:
    """What the journal knows, for the report; what was registered then is known now."""
    outcome = Outcome.KNOWN if entry.outcome is Outcome.REGISTERED else entry.outcome
    return [
        Line(str(entry.photo.path), outcome, face_id=face_id, reason=entry.reason, milliseconds=milliseconds)
        for face_id in (entry.face_ids or (None,))
    ]


async def _next_group(observed: asyncio.Queue[_Observed | None]) -> tuple[list[_Observed], bool]:
    """What is to be written together, and whether it is the last."""
    group: list[_Observed] = []
    faces = 0
    try:
        async with asyncio.timeout(None) as limit:
            while faces < GROUP_FACES and len(group) < 2 * GROUP_FACES:
                observation = await observed.get()
                if observation is None:
                    return group, True
                if not group:
                    limit.reschedule(asyncio.get_running_loop().time() + GROUP_LIMIT_S)
                group.append(observation)
                faces += len(observation.candidate.faces) if observation.candidate else 0
    except TimeoutError:
        pass
    return group, False
