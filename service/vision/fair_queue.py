"""Queues in which callers take turns, so that who has one thing waiting doesn't wait for who has many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from typing import Generic, TypeVar

from service.errors import Overloaded

Item = TypeVar("Item")


MAX_LATE = 16
"""How many callers may join a round that has begun: more would keep those from their turns who wait for the next."""


class FairQueue(Generic[Item]):
    """First in, first out for each caller, and one caller after another; all of one caller is as a plain queue.

    Turns come in rounds. In each, every caller who waits has one turn, and so has who comes while it goes on and had
    none yet: who comes with one thing needn't wait for somebody's next.
    """

    def __init__(self) -> None:
        self._round: dict[str, deque[Item]] = {}  # nobody is in it with nothing; whose turn is next comes first
        self._next_round: dict[str, deque[Item]] = {}  # likewise
        self._had_turn: set[str] = set()
        self._late = 0
        self._length = 0

    def __len__(self) -> int:
        """How many items wait, of all callers."""
        return self._length

    def put(self, caller: str, item: Item) -> None:
        """Let an item wait behind the others of its caller."""
        self._length += 1
        waiting = self._round.get(caller) or self._next_round.get(caller)
        if waiting is not None:
            waiting.append(item)
        elif caller in self._had_turn or self._late >= MAX_LATE:
            self._next_round[caller] = deque([item])
        else:
            self._round[caller] = deque([item])
            self._late += bool(self._had_turn)

    def pop(self) -> Item:
        """The next item, whose caller is the last to have another turn. Raises IndexError where there is none."""
        if not self._length:
            raise IndexError("nothing waits")
        if not self._round:
            self._round, self._next_round, self._late = self._next_round, {}, 0
            self._had_turn.clear()
        caller = next(iter(self._round))
        waiting = self._round.pop(caller)
        item = waiting.popleft()
        self._had_turn.add(caller)
        if waiting:
            self._next_round[caller] = waiting
        self._length -= 1
        if not self._length:
            self._late = 0
            self._had_turn.clear()
        return item

    def pop_together(self, most: int) -> list[Item]:
        """The next items, at most so many, at least one. Raises IndexError where there is none.

        They are of one round, or all of callers who have more: nobody's last item shares with somebody's second.
        """
        callers = set(islice(self._round or self._next_round, most))
        items = [self.pop() for _ in range(len(callers))]
        while self._length and len(items) < most and (self._round or self._next_round).keys() == callers:
            items += [self.pop() for _ in range(min(len(callers), most - len(items)))]
        return items or [self.pop()]

    def shed(self, caller: str) -> Item | None:
        """The newest item of whoever has most waiting, taken out; None where nobody has more than `caller` would."""
        by_caller = self._next_round | self._round
        longest = max(by_caller, key=lambda each: len(by_caller[each]), default=caller)
        waiting = by_caller.get(longest, ())
        if not isinstance(waiting, deque) or len(waiting) <= len(by_caller.get(caller, ())) + 1:
            return None
        self._length -= 1
        return waiting.pop()  # something is left, for there were two


class Turn:
    """One caller's turn of some Turns, which may be given to others for a while."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.is_held = True

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let others work while the block waits for something else; behind it the turn comes back before new ones.

        Raises Overloaded only where the turns are closed meanwhile.
        """
        self.is_held = False
        try:
            with self._turns.lending():
                yield
        finally:
            await self._turns.take_back()
            self.is_held = True


class Turns:
    """Lets a few work at a time, in the order of a FairQueue; others wait."""

    def __init__(self, at_once: int, *, max_waiting: int) -> None:
        """At most `max_waiting` wait or work."""
        self._free = at_once
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._returning: deque[asyncio.Future[None]] = deque()
        self._lent = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait or work, those with them who have lent their turn."""
        return len(self._queue) + len(self._returning) + self._lent + self._at_once - self._free

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[Turn]:
        """Have the block run when it is its turn.

        Raises Overloaded at once where too much waits, and later where another caller needs the room, of whom much less
        waits, and once it is closed. Who has begun is never refused.
        """
        if self._closed:
            raise stopping()
        if self.waiting >= self._max_waiting and not self._shed(caller):
            raise busy()
        if not self._free or self._queue or self._returning:
            self._queue.put(caller, mine := self._future())
            await self._given(mine)
        else:
            self._free -= 1
        turn = Turn(self)
        try:
            yield turn
        finally:
            if turn.is_held:
                self._pass_on()

    @contextmanager
    def lending(self) -> Iterator[None]:
        """A turn's part of `lent`: whoever waits has it within the block."""
        self._lent += 1
        self._pass_on()
        try:
            yield
        finally:
            self._lent -= 1

    async def take_back(self) -> None:
        """The rest of it: a turn again, before those who wait for their first."""
        if self._closed:
            raise stopping()
        if self._free:
            self._free -= 1
        else:
            self._returning.append(mine := self._future())
            await self._given(mine)

    def close(self) -> None:
        """Whoever still waits, and whoever comes, gets Overloaded."""
        self._closed = True
        while self._returning:
            returning = self._returning.popleft()
            if not returning.done():
                returning.set_exception(stopping())
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

    @staticmethod
    def _future() -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def _given(self, mine: asyncio.Future[None]) -> None:
        """Wait until it is done: a turn was given. Raises Overloaded where the turns were closed before it began."""
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled() and mine.exception() is None:  # it was given this very moment
                self._pass_on()
            raise
        if self._closed:  # in the moment between the giving and this line
            self._pass_on()
            raise stopping()

    def _pass_on(self) -> None:
        while self._returning or self._queue:
            following = self._returning.popleft() if self._returning else self._queue.pop()
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
