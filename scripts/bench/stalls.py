"""How long an event loop stands still, beside an idle process that tells how much of it is the machine's doing.

Run as `python -m scripts.bench.stalls` it is that process: it sleeps until stdin ends, and prints its longest stall.
"""

from __future__ import annotations

import asyncio
import select
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_PROBE_S = 0.002


@dataclass(slots=True)
class Stalls:
    """The longest of each, in seconds: the loop's stalls, its work without a pause (processor time), the idle one's."""

    longest: float = 0.0
    own_work: float = 0.0
    idle: float = 0.0


@asynccontextmanager
async def watched(stalls: Stalls) -> AsyncIterator[None]:
    """Note how the running event loop fares within the block."""
    command = (sys.executable, "-m", "scripts.bench.stalls")
    idle = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    watching = asyncio.create_task(_watch(stalls))
    try:
        yield
    finally:
        watching.cancel()
        said, _ = await idle.communicate(b"")  # which closes its stdin
        stalls.idle = max(stalls.idle, float(said))


async def _watch(stalls: Stalls) -> None:
    while True:
        began, worked = time.perf_counter(), time.thread_time()
        await asyncio.sleep(_PROBE_S)
        stalls.longest = max(stalls.longest, time.perf_counter() - began - _PROBE_S)
        stalls.own_work = max(stalls.own_work, time.thread_time() - worked)


def main() -> None:
    longest = 0.0
    while not select.select([sys.stdin], [], [], 0)[0]:
        began = time.perf_counter()
        time.sleep(_PROBE_S)
        longest = max(longest, time.perf_counter() - began - _PROBE_S)
    print(longest)


if __name__ == "__main__":
    main()
