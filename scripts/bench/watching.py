"""What a process takes while something else is measured: memory, open files and processor time, from /proc (Linux)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from scripts.resident import resident_mb

WATCH_S = 0.5

Sample = TypeVar("Sample")


class Peak(NamedTuple):
    """The most that the service's processes had: memory in MB, and open files of the first of them."""

    memory_mb: float
    files: int


@asynccontextmanager
async def sampled(take: Callable[[], Sample], every_s: float) -> AsyncIterator[list[Sample]]:
    """Samples as they are taken as long as the block runs, the first of them at once."""
    samples = [take()]

    async def watch() -> None:
        while True:
            await asyncio.sleep(every_s)
            samples.append(take())

    watching = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        watching.cancel()


def watched(pid: int) -> AbstractAsyncContextManager[list[Peak]]:
    """Samples of the service's memory and files as long as the block runs."""
    return sampled(lambda: Peak(resident_mb(pid), _open_files(pid)), WATCH_S)


def most(samples: Sequence[Peak]) -> Peak:
    """The most of each."""
    return Peak(max(each.memory_mb for each in samples), max(each.files for each in samples))


def processor_s(pid: int, *, thread: int | None = None) -> float:
    """Processor time in seconds that a process has taken, or that one of its threads has."""
    path = f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat"
    fields = Path(path).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
