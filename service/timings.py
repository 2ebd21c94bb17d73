"""Whose request it is, whether they still wait, and how long each of its stages took: for the engine and the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


class Timings(dict[str, float]):
    """Milliseconds by stage, in the order in which they were first measured; times of the same stage add up.

    `caller` is the device, the key or the address that asks: among callers, the engine's workers are shared fairly.
    """

    def __init__(self, caller: str = "") -> None:
        super().__init__()
        self.caller = caller
        self._left = False
        self._wanted: set[asyncio.Task[Any]] = set()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add what the block takes to `stage`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self[stage] = self.get(stage, 0.0) + (time.perf_counter() - began) * 1000

    async def while_wanted(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Have work done that changes nothing, unless nobody waits for it any more: then it is cancelled.

        Raises ConnectionResetError then, and what the work raises.
        """
        task = asyncio.ensure_future(work)
        self._wanted.add(task)
        try:
            if self._left:
                task.cancel()
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._left and current is not None and not current.cancelling():
                raise ConnectionResetError("The client left before its photo was looked at.") from None
            raise
        finally:
            self._wanted.discard(task)

    def client_left(self) -> None:
        """Nobody waits for the answer any more."""
        self._left = True
        for each in self._wanted:
            each.cancel()
