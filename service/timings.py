"""Whose request it is and how long each of its stages took, for its log line, the metrics and the engine's turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings(dict[str, float]):
    """Milliseconds by stage, in the order in which they were first measured; times of the same stage add up.

    `caller` is the device, the key or the address that asks: among callers, the engine's workers are shared fairly.
    """

    def __init__(self, caller: str = "") -> None:
        super().__init__()
        self.caller = caller

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add what the block takes to `stage`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self[stage] = self.get(stage, 0.0) + (time.perf_counter() - began) * 1000
