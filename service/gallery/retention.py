"""Forgets people who were neither recognised nor registered for some days: who was seen is noted, the others go.

No request waits for that: who was seen is written once a minute, at most once a day for each person. A kill loses the
last minute, which is little beside days.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from service.errors import StoreUnavailable
from service.stores.store import Store

log = logging.getLogger(__name__)

PAUSE_S = 60.0
"""Between two writings."""
SWEEP_EVERY = timedelta(hours=1)
RENEWED = timedelta(days=1)
"""A person is written down again after so long."""
TOGETHER = 100
"""People written at once, while the store answers nothing else."""
MAX_REMEMBERED = 100_000
"""People of whom this process remembers when it wrote them down."""

Person = tuple[str, str]
"""A gallery and a remark."""


class Retention:
    """Of all galleries of a store. Services that share one may each have theirs."""

    def __init__(self, store: Store, days: int, clock: Callable[[], datetime]) -> None:
        """People are kept for so many days (1 or more) after they were seen; `clock` gives aware times."""
        self._store = store
        self._kept = timedelta(days=days)
        self._clock = clock
        self._seen: dict[Person, None] = {}
        self._written: dict[Person, datetime] = {}
        self._swept_at: datetime | None = None

    def use(self, store: Store) -> None:
        """From now on, write into another store of the same people, which knows nothing of when they were seen."""
        self._store = store
        self._written.clear()

    def note(self, gallery: str, remark: str) -> None:
        """A person was recognised or registered just now."""
        person = gallery, remark
        written = self._written.get(person)
        if written is None or self._clock() - written >= min(RENEWED, self._kept / 4):
            self._seen[person] = None

    async def keep(self, pause_s: float = PAUSE_S) -> None:
        """Until cancelled: write who was seen, and remove who was not, now and then. What fails is tried again."""
        while True:
            try:
                await self.work()
            except StoreUnavailable as error:
                log.warning("Who was seen lately could not be written down, which is tried again soon: %s", error)
            except Exception:
                log.exception("Who was seen lately could not be written down.")
            await asyncio.sleep(pause_s)

    async def work(self) -> None:
        """Write who was seen; and once an hour, after that, remove who was not. Raises StoreUnavailable."""
        await self._write()
        now = self._clock()
        if self._swept_at is None or now - self._swept_at >= SWEEP_EVERY:
            removed = await self._store.remove_unseen(now - self._kept, now)
            self._swept_at = now
            if removed:
                log.info("Faces removed of people who were not seen for %d days: %d.", self._kept.days, removed)

    async def _write(self) -> None:
        if len(self._written) > MAX_REMEMBERED:
            self._written.clear()
        while some := list(self._seen)[:TOGETHER]:
            now = self._clock()
            await self._store.mark_seen(some, now)
            for each in some:
                self._seen.pop(each, None)
                self._written[each] = now


@asynccontextmanager
async def retained(store: Store, days: int, clock: Callable[[], datetime]) -> AsyncIterator[Retention | None]:
    """Have people forgotten who were not seen for so many days, as long as the block runs; None where `days` is 0."""
    if not days:
        yield None
        return
    retention = Retention(store, days, clock)
    keeping = asyncio.create_task(retention.keep())
    try:
        yield retention
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
