"""Whether an inference may have all processors, or one of them, because others have photos too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Sharing:
    """How many photos an engine has at once, and how its processors are best used for them.

    One inference on all processors has its answer soonest. But threads that wait for each other waste a third of
    their time, and several inferences with a thread each waste nothing, once there are enough of them.
    """

    def __init__(self, threads: int) -> None:
        """For so many processors, at least one."""
        self.threads = threads
        self._photos = 0

    @property
    def is_shared(self) -> bool:
        """Whether an inference shall run on one thread, beside others: photos enough for half of them are there."""
        return 2 * self._photos > self.threads

    @property
    def at_once(self) -> int:
        """How many inferences of a network shall run side by side."""
        return self.threads if self.is_shared else 1

    @contextmanager
    def photo(self) -> Iterator[None]:
        """A photo was taken on, within the block. Called in one thread only; others may read."""
        self._photos += 1
        try:
            yield
        finally:
            self._photos -= 1
