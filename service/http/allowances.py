"""What somebody may do so often in a row and so often a second; those beyond it are treated less kindly."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_KNOWN = 10_000
"""Addresses that are remembered; the one that was seen first is forgotten for another."""


class Allowances:
    """A bucket of `burst` for each address, into which `per_s` come back in a second."""

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # how much there was, and when

    def take(self, address: str) -> bool:
        """Whether the address had some left; then it has one less."""
        now = self._clock()
        before, then = self._left.pop(address, (float(self._burst), now))
        left = min(float(self._burst), before + (now - then) * self._per_s)
        if len(self._left) >= MAX_KNOWN:
            del self._left[next(iter(self._left))]
        self._left[address] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Debts:
    """What each one has done beyond so much in a row, of which `per_s` is forgiven in a second."""

    def __init__(
        self,
        *,
        per_s: float,
        in_a_row: float,
        longest_s: float,
        credit: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nobody waits longer than `longest_s`: more is forgiven at once. Who pays back more may do `credit` more."""
        self._per_s = per_s
        self._in_a_row = in_a_row
        self._most = in_a_row + longest_s * per_s
        self._credit = credit
        self._clock = clock
        self._owed: dict[str, tuple[float, float]] = {}  # how much it was, and when

    def add(self, whose: str, amount: float = 1.0) -> float:
        """Somebody does that much more, or a negative amount less; how many seconds it should wait for that."""
        owed = min(max(-self._credit, self._left(whose) + amount), self._most)
        self._owed.pop(whose, None)
        if len(self._owed) >= MAX_KNOWN:
            del self._owed[next(iter(self._owed))]
        self._owed[whose] = (owed, self._clock())
        return max(0.0, owed - self._in_a_row) / self._per_s

    def wait_s(self, whose: str) -> float:
        """How long it should wait before it does more."""
        return max(0.0, self._left(whose) - self._in_a_row) / self._per_s

    def _left(self, whose: str) -> float:
        owed, then = self._owed.get(whose, (0.0, 0.0))
        return owed if owed <= 0 else max(0.0, owed - (self._clock() - then) * self._per_s)
