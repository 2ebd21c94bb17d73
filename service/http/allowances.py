"""What an address may do so often in a row and so often a second; those beyond it are treated less kindly."""

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
