"""Queues in which callers take turns, so that who has one thing waiting doesn't wait for who has many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from service.errors import Overloaded

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """First in, first out for each caller, and one caller after another; all of one caller is as a plain queue."""

    def __init__(self) -> None:
        self._by_caller: dict[str, deque[Item]] = {}  # nobody is in it with nothing; whose turn is next comes first
        self._length = 0

    def __len__(self) -> int:
        """How many items wait, of all callers."""
        return self._length

    def put(self, caller: str, item: Item) -> None:
        """Let an item wait behind the others of its caller."""
        self._by_caller.setdefault(caller, deque()).append(item)
        self._length += 1

    def pop(self) -> Item:
        """The next item, whose caller is the last to have another turn. Raises IndexError where there is none."""
        if not self._by_caller:
            raise IndexError("nothing waits")
        caller = next(iter(self._by_caller))
        waiting = self._by_caller.pop(caller)
        item = waiting.popleft()
        if waiting:
            self._by_caller[caller] = waiting
        self._length -= 1
        return item

    def shed(self, caller: str) -> Item | None:
        """The newest item of whoever has most waiting, taken out; None where nobody has more than `caller` would."""
        longest = max(self._by_caller, key=lambda each: len(self._by_caller[each]), default=caller)
        waiting = self._by_caller.get(longest, ())
        if not isinstance(waiting, deque) or len(waiting) <= len(self._by_caller.get(caller, ())) + 1:
            return None
        self._length -= 1
        return waiting.pop()  # something is left, for there were two


class Turns:
    """Lets a few work at a time, in the order of a FairQueue; others wait."""

    def __init__(self, at_once: int, *, max_waiting: int) -> None:
        """At most `max_waiting` wait or work."""
        self._free = at_once
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait or work."""
        return len(self._queue) + self._at_once - self._free

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Have the block run when it is its turn.

        Raises Overloaded at once where too much waits, and later where another caller needs the room, of whom much less
        waits, and once it is closed. Who has begun is never refused.
        """
        if self._closed:
            raise stopping()
        if self.waiting >= self._max_waiting and not self._shed(caller):
            raise busy()
        if not self._free or self._queue:
            await self._wait(caller)
        else:
            self._free -= 1
        try:
            yield
        finally:
            self._pass_on()

    def close(self) -> None:
        """Whoever still waits, and whoever comes, gets Overloaded."""
        self._closed = True
        while self._queue:
            waiting = self._queue.pop()
            if not waiting.done():
                waiting.set_exception(stopping())

    def _shed(self, caller: str) -> bool:
        """Whether somebody who waits made room; those who gave up meanwhile are gone with it."""
        shed = self._queue.shed(caller)
        if shed is None:
            return False
        if not shed.done():
            shed.set_exception(busy())
        return True

    async def _wait(self, caller: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(caller, mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:  # it was given this very moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._queue:
            following = self._queue.pop()
            if not following.done():
                following.set_result(None)
                return
        self._free += 1


def stopping() -> Overloaded:
    """What is said where nothing is begun any more."""
    return Overloaded("The service is stopping; try again in a moment.")


def busy() -> Overloaded:
    """What is said where too many photos wait."""
    return Overloaded("Too many photos are waiting; try again in a moment.")
