"""Removes faces whose time is up, now and then, for as long as the service runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from service.errors import StoreUnavailable
from service.stores.store import Store

log = logging.getLogger(__name__)

PAUSE_S = 60.0
"""Until a face is removed it takes room, and is counted, but is neither shown nor matched."""


MAX_STEP_S = 300.0
"""A clock that was set by more than this is not believed at once: what is removed by a wrong one is gone for good."""

BELIEF_S = 3600.0
"""A clock that has gone evenly for so long is right."""


class TrustedClock:
    """The time of day, as far as it goes evenly: for an hour after a jump, the earlier of both readings."""

    def __init__(self, clock: Callable[[], datetime], steady: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives an aware time; `steady` seconds that never go back, and count on while nobody sets them."""
        self._clock = clock
        self._steady = steady
        self._offset = clock().timestamp() - steady()
        self._jumped_at: float | None = None
        self._jumped_to = self._offset

    def now(self) -> datetime:
        """The time by which faces may be removed."""
        wall, steady = self._clock(), self._steady()
        offset = wall.timestamp() - steady
        if abs(offset - self._offset) <= MAX_STEP_S:
            self._offset, self._jumped_at = offset, None
            return wall
        if self._jumped_at is None or abs(offset - self._jumped_to) > MAX_STEP_S:
            self._jumped_at, self._jumped_to = steady, offset
            log.warning("The clock was set by %+.0f s; faces are removed by it in an hour.", offset - self._offset)
        elif steady - self._jumped_at >= BELIEF_S:
            self._offset, self._jumped_at = offset, None
            return wall
        return min(wall, datetime.fromtimestamp(self._offset + steady, UTC))


async def remove_expired_faces(
    store: Store,
    clock: Callable[[], datetime],
    pause_s: float = PAUSE_S,
    steady: Callable[[], float] = time.monotonic,
) -> None:
    """Until cancelled: forget in every gallery what has expired by `clock`, an aware time, and pause.

    Services that share a store may all do so. What fails is logged, and tried again after the pause.
    """
    trusted = TrustedClock(clock, steady)
    while True:
        try:
            removed = await store.remove_expired(trusted.now())
            if removed:
                log.info("Faces removed whose time was up: %d.", removed)
        except StoreUnavailable as error:
            log.warning("Faces whose time is up could not be removed, which is tried again soon: %s", error)
        except Exception:
            log.exception("Faces whose time is up could not be removed.")
        await asyncio.sleep(pause_s)
