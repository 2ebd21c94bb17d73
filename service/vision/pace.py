"""Lets so many things go on at once and so many a second, and tells how long those beyond should wait."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """So many in a row and so many a second may go on at once; those beyond wait."""

    def __init__(
        self, *, in_a_row: int, per_s: float, longest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """None waits longer than `longest_s`, however many there are."""
        self._spread_s, self._pause_s, self._longest_s = in_a_row / per_s, 1 / per_s, longest_s
        self._clock = clock
        self._next = clock() - self._spread_s  # when the next one may go on, less what may come in a row

    def wait_s(self) -> float:
        """Seconds that one who comes now should wait."""
        now = self._clock()
        self._next = max(self._next, now - self._spread_s) + self._pause_s
        self._next = min(self._next, now + self._longest_s)
        return max(0.0, self._next - now)
