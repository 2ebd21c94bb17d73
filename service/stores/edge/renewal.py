"""A shard made anew beside the one in use, from its faces alone, and put in its place while the service goes on.

That leaves nothing of faces that were removed, and gives all that are left a search index. A process of its own writes
the new shard and builds the index; here faces are read for it, a few between two requests. What is changed meanwhile is
brought after. Cut off at any moment, the gallery has its former shard or the new one, each whole.
"""

from __future__ import annotations

import enum
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant

from service.errors import StoreUnavailable
from service.stores.edge.builder import Builder
from service.stores.edge.compaction import DRAFT, require_room
from service.stores.edge.durable_shard import DISK_RESERVE_BYTES, DurableShard
from service.stores.edge.seal import note_links, note_sums

log = logging.getLogger(__name__)

FACES_AT_ONCE = 64
"""Read in a few milliseconds, while no request is answered."""

LAST_CHANGES = 16
"""So few changes are brought after while all requests wait; twice as many each time that more came meanwhile."""

PAUSE_S, BUILDING_PAUSE_S = 0.002, 0.1
"""Between two steps, while faces are copied and while the index is built."""


COPIES = 2
"""Of the faces beside the shard in use: while the index of the new one is built, its faces are on the disk twice."""


class _Stage(enum.Enum):
    COPYING = enum.auto()
    BUILDING = enum.auto()
    CATCHING_UP = enum.auto()
    FLUSHING = enum.auto()
    TIDYING = enum.auto()


class Renewal:
    """Goes on with each `step`, until that says that it is done; `cancel` gives it up."""

    def __init__(self, shard: DurableShard, folder: Path) -> None:
        """Begin it. Raises StoreUnavailable where the disk has no room for the faces that are left."""
        require_room(shard.edge, folder, DISK_RESERVE_BYTES, copies=COPIES)
        self._shard = shard
        self._folder = folder
        self._began = time.monotonic()
        self._after = 0
        self._stage = _Stage.COPYING
        self._changed: set[int] = set()
        self._last_changes = LAST_CHANGES
        self._hurry = threading.Event()
        self._tidying = threading.Thread(target=_tidy, args=(folder, self._hurry), daemon=True)
        self._builder = Builder(folder / DRAFT, shard.dimension)
        self.pid = self._builder.pid
        """Of the process that makes the new shard."""
        self._builder.order("start")

    @property
    def pause_s(self) -> float:
        """How long to wait until the next step, where nothing else is to be done."""
        return BUILDING_PAUSE_S if self._stage in (_Stage.BUILDING, _Stage.TIDYING) else PAUSE_S

    def note(self, face_ids: Sequence[int]) -> None:
        """Faces that are about to be changed: their copies are made again."""
        copying = self._stage is _Stage.COPYING
        self._changed.update(each for each in face_ids if not copying or each <= self._after)

    def step(self) -> bool:
        """Do a little; whether the new shard is in place, and the former one deleted.

        Raises StoreUnavailable where it can't be made.
        """
        if self._stage is _Stage.TIDYING:
            return not self._tidying.is_alive()
        if not self._builder.done():
            return False
        if self._stage is _Stage.COPYING:
            self._copy()
        elif self._stage is _Stage.BUILDING:
            self._stage = _Stage.CATCHING_UP
        elif len(self._changed) > self._last_changes:
            self._last_changes *= 2 if self._stage is _Stage.FLUSHING else 1
            self._bring_changes(FACES_AT_ONCE)
            self._stage = _Stage.CATCHING_UP
        elif self._stage is _Stage.CATCHING_UP:
            # Once now, while requests are answered, so that there is little to be done when they wait.
            self._builder.order("flush")
            self._stage = _Stage.FLUSHING
        else:
            self._exchange()
            # Deleting gigabytes and reading the whole index take seconds; nothing waits for either.
            self._stage = _Stage.TIDYING
            self._tidying.start()
        return False

    def cancel(self) -> None:
        """Leave everything as it was, or as it is if the new shard is in place."""
        if self._stage is _Stage.TIDYING:
            self._hurry.set()
            self._tidying.join()
        self._builder.close()
        shutil.rmtree(self._folder / DRAFT, ignore_errors=True)

    def _copy(self) -> None:
        request = qdrant.ScrollRequest(offset=self._after + 1, limit=FACES_AT_ONCE, with_payload=True, with_vector=True)
        records: list[Any] = self._shard.edge.scroll(request)[0]
        if records:
            self._after = records[-1].id
            self._builder.order("put", [(each.id, each.vector, each.payload) for each in records])
        else:
            self._stage = _Stage.BUILDING
            self._builder.order("build")

    def _bring_changes(self, limit: int) -> None:
        some = [self._changed.pop() for _ in range(min(limit, len(self._changed)))]
        records: list[Any] = self._shard.edge.retrieve([*some], with_payload=True, with_vector=True)
        there = [(each.id, each.vector, each.payload) for each in records]
        self._builder.order("bring", there, sorted(set(some) - {each[0] for each in there}))

    def _exchange(self) -> None:
        """The only moment at which requests wait, for as long as Edge takes to open a shard."""
        began = time.monotonic()
        if self._changed:
            self._bring_changes(len(self._changed))
            self._builder.wait()
        self._builder.order("close")
        copied, faces = self._builder.wait(), self._shard.edge.count(qdrant.CountRequest(exact=True))
        if copied != faces:
            raise StoreUnavailable(
                f"Only {copied:,} of {faces:,} faces could be copied, so the gallery stays as it is."
            )
        self._builder.close()
        self._shard.exchange()
        now = time.monotonic()
        log.info(
            "The gallery's %d faces are in a new shard, without anything of removed ones, %d of them indexed; that "
            "took %.1f s, of which requests waited %.2f s.",
            faces,
            self._shard.edge.info().indexed_vectors_count,
            now - self._began,
            now - began,
        )


def _tidy(folder: Path, hurry: threading.Event) -> None:
    shutil.rmtree(folder / "shard.gone", ignore_errors=True)
    try:
        note_links(folder)
        note_sums(folder, lambda: not hurry.is_set())
    except OSError as error:
        log.warning("The files of the new shard could not be noted: %s", error)
