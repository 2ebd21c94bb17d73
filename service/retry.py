"""Repeats what failed and may soon succeed, after pauses that grow and differ from caller to caller."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses in seconds: the first, by what each is longer than the one before, and the longest."""

    first_s: float
    longest_s: float
    factor: float = 2.0

    def pause_s(self, failures: int) -> float:
        """The pause after so many failures in a row, 1 at least.

        Half to one and a half times what its place in the row says: callers that failed together, as the replicas of a
        service do, don't come back together.
        """
        # Beyond 64 failures every row has reached its longest pause, and the power would leave the floats.
        pause_s = min(self.longest_s, self.first_s * self.factor ** min(failures - 1, 64))
        return pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - nothing secret


async def retry(
    attempt: Callable[[], Awaitable[Answer]],
    backoff: Backoff,
    *,
    transient: Callable[[Exception], bool],
    limit_s: float,
    max_attempts: int | None = None,
    on_retry: Callable[[Exception, float], None] = lambda _error, _left_s: None,
) -> Answer:
    """What `attempt` returns once it raises no transient error any more.

    Raises what it raised last: an error that isn't transient, or that of the last attempt, which is the
    `max_attempts`-th or the one that ends after `limit_s` seconds, whichever comes first. Before each pause
    `on_retry` is told the error, and how many of the `limit_s` seconds are left.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    failures = 0
    while True:
        try:
            return await attempt()
        except Exception as error:
            failures += 1
            left_s = deadline - loop.time()
            if not transient(error) or failures == max_attempts or left_s <= 0:
                raise
            on_retry(error, left_s)
        await asyncio.sleep(min(backoff.pause_s(failures), left_s))
