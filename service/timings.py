"""How long each stage of a request took, for its log line and the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings(dict[str, float]):
    """Milliseconds by stage, in the order in which they were first measured; times of the same stage add up."""

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add what the block takes to `stage`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self[stage] = self.get(stage, 0.0) + (time.perf_counter() - began) * 1000
