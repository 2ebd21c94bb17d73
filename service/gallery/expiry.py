"""Removes faces whose time is up, now and then, for as long as the service runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from service.errors import StoreUnavailable
from service.stores.store import Store

log = logging.getLogger(__name__)

PAUSE_S = 60.0
"""Until a face is removed it takes room, and is counted, but is neither shown nor matched."""


async def remove_expired_faces(store: Store, clock: Callable[[], datetime], pause_s: float = PAUSE_S) -> None:
    """Until cancelled: forget in every gallery what has expired by `clock`, an aware time, and pause.

    Services that share a store may all do so. What fails is logged, and tried again after the pause.
    """
    while True:
        try:
            removed = await store.remove_expired(clock())
            if removed:
                log.info("Faces removed whose time was up: %d.", removed)
        except StoreUnavailable as error:
            log.warning("Faces whose time is up could not be removed, which is tried again soon: %s", error)
        except Exception:
            log.exception("Faces whose time is up could not be removed.")
        await asyncio.sleep(pause_s)
