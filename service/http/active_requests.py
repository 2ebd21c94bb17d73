"""The requests that are being answered, so that a service that is told to stop can finish them first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class ActiveRequests:
    """Counts the requests; made inside or outside of an event loop, used in one."""

    def __init__(self) -> None:
        self.stopping = False
        """Whether clients should be told to close their connections."""
        self._active: set[asyncio.Event] = set()

    @contextmanager
    def track(self) -> Iterator[None]:
        """One request is active as long as the block."""
        ended = asyncio.Event()
        self._active.add(ended)
        try:
            yield
        finally:
            self._active.discard(ended)
            ended.set()

    async def wait_for_begun(self) -> None:
        """Wait until all requests have ended that are active now, however long that takes; not for later ones."""
        for each in [*self._active]:
            await each.wait()

    async def finish(self, timeout_s: float) -> int:
        """Wait until none is active, but no longer than that; how many still are."""
        self.stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._active:
                    await self.wait_for_begun()
        return len(self._active)
