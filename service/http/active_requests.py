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
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def track(self) -> Iterator[None]:
        """One request is active as long as the block."""
        self._count += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._count -= 1
            if self._count == 0:
                self._empty.set()

    async def finish(self, timeout_s: float) -> int:
        """Wait until none is active, but no longer than that; how many still are."""
        self.stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        return self._count
