"""Shows how far a long work has come: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

EVERY_S = 5.0
"""Seconds between two plain lines."""
WHOLE_FROM = 10
"""Slower rates are told to a tenth."""


class Progress:
    """A block of work: `with Progress(total, "faces") as progress: progress.advance(64); progress.note(failed=1)`."""

    def __init__(
        self,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total` is None where nobody knows it; `done` of it was done by an earlier run; `stream` is stderr."""
        self._total = total
        self._unit = unit
        self._done_before = self._done = done
        self._failed = 0
        self._stream = stream or sys.stderr
        self._clock = clock
        self._begin = self._last_line = clock()
        self._bar: tqdm | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._stream.isatty():
            self._bar = self._open.enter_context(
                tqdm(
                    total=self._total,
                    initial=self._done,
                    unit=f" {self._unit}",
                    file=self._stream,
                    dynamic_ncols=True,
                    unit_scale=False,
                    smoothing=0.1,
                )
            )
            self._open.enter_context(logging_redirect_tqdm())  # log lines go above the bar, not through it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if self._bar is None:
            self._print()

    def expect(self, total: int) -> None:
        """The total is known now."""
        self._total = total
        if self._bar is not None:
            self._bar.total = total
            self._bar.refresh()

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._clock() - self._last_line >= EVERY_S:
            self._print()

    def note(self, failed: int) -> None:
        """So many more of those done have failed."""
        self._failed += failed
        if self._bar is not None and failed:
            self._bar.set_postfix_str(f"{self._failed:,} failed")

    def _print(self) -> None:
        self._last_line = self._clock()
        print(self.line(), file=self._stream, flush=True)

    def line(self) -> str:
        """`1,200 of 10,000 faces (12 %), 340 a second, 0:26 left, 2 failed`."""
        seconds = self._clock() - self._begin
        rate = (self._done - self._done_before) / seconds if seconds > 0 else 0.0
        parts = [f"{self._done:,} {self._unit}"]
        if self._total:
            parts = [f"{self._done:,} of {self._total:,} {self._unit} ({self._done * 100 // self._total} %)"]
        parts.append(f"{rate:,.0f} a second" if rate >= WHOLE_FROM else f"{rate:.1f} a second")
        if self._total and rate and self._done < self._total:
            parts.append(f"{tqdm.format_interval((self._total - self._done) / rate)} left")
        if self._failed:
            parts.append(f"{self._failed:,} failed")
        return ", ".join(parts)
