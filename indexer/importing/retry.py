"""Repeats what a gallery that is away for a while can't answer, and stops the import when it stays away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.errors import FaceServiceError, StoreUnavailable

log = logging.getLogger(__name__)

PATIENCE_S = 300.0
"""How long a gallery may be away before the import stops."""

LONGEST_PAUSE_S = 15.0

Result = TypeVar("Result")


class CannotGoOn(FaceServiceError):
    """The import stops here; what was imported is safe, and the next run goes on."""

    code = "cannot_go_on"


async def persist(attempt: Callable[[], Awaitable[Result]], patience_s: float) -> Result:
    """What `attempt` returns once it raises StoreUnavailable no more.

    Raises CannotGoOn when it has done so for `patience_s` seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    pause_s = 1.0
    while True:
        try:
            return await attempt()
        except StoreUnavailable as error:
            left_s = end - loop.time()
            if left_s <= 0:
                raise CannotGoOn(
                    f"The gallery was away for {patience_s:g} s, so the import stopped; what was imported is safe, and "
                    f"the same command goes on from here. The last error: {error}"
                ) from None
            log.warning("The gallery is away, trying again for %.0f s: %s", left_s, error)
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
