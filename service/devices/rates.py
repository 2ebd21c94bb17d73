"""How many requests each device made within the last minute."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from service.errors import RateExceeded

MINUTE_S = 60.0


class Rates:
    """Counts the requests of each device; only those that were let in, so that nobody else can use up its share."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        """`per_minute` 0 is no limit; `clock` gives seconds that never go back."""
        self._per_minute = per_minute
        self._clock = clock
        self._let_in: dict[str, deque[float]] = {}

    def check(self, device_id: str) -> None:
        """Raises RateExceeded where the device has had its requests for now."""
        times = self._let_in.get(device_id, deque())
        if self._per_minute and len(times) == self._per_minute:
            wait_s = times[0] + MINUTE_S - self._clock()
            if wait_s > 0:
                raise RateExceeded(
                    f"{device_id} may make {self._per_minute} requests a minute; try again in {math.ceil(wait_s)} s."
                )

    def count(self, device_id: str) -> None:
        """One request of the device was let in."""
        if self._per_minute:
            self._let_in.setdefault(device_id, deque(maxlen=self._per_minute)).append(self._clock())
