"""One client that recognises beside crowds: how long it waits, and how much of that the crowd's own program takes.

The crowd's clients run on the same processors as the service. So each crowd is followed by a spinner, a program that
does nothing but take as much processor time as those clients took: what the door waits beside it isn't the service's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from scripts.bench.crowds import CROWDS, SECRET
from scripts.bench.load_clients import DEVICE, run_clients
from scripts.bench.serving import service_process
from scripts.bench.watching import most, processor_s, watched
from service.settings import Settings

DOOR = "127.0.0.2"
"""An address that is this machine, too; the crowds come from another one."""
IMPORTERS = 64
SETTLE_S = 1.0
"""What a crowd gets to come in before the door is measured."""

HEAD = """
## The door, beside a crowd

Recognitions of one client at another address, one after another: alone, beside the crowd, and beside a program that
only takes as much processor time as the crowd's clients (cores, as is the event loop's).

| crowd | alone p50 | p99 | beside p50 | p99 ms | × | clients' | loop's | spinner p99 | × | photos | failed | MB |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


async def doors(settings: Settings, photos: Sequence[Path], seconds: float, wanted: Sequence[str]) -> None:
    """Print a row for each crowd whose name has one of the texts wanted, of all where none is.

    The door is measured for that long beside each crowd, alone before the first and after the last, and half as long
    beside each spinner.
    """
    print(HEAD, flush=True)
    names = {f"{IMPORTERS} clients that register": "register", f"{IMPORTERS} clients that recognise": "recognise"}
    names |= {name: name for name in CROWDS}
    chosen = {name: kind for name, kind in names.items() if not wanted or any(each in name for each in wanted)}
    for signed in (False, True):
        of_these = {name: kind for name, kind in chosen.items() if (kind in CROWDS and CROWDS[kind].signed) is signed}
        if of_these:
            async with _service(settings, photos, signed=signed) as (pid, url):
                await _rows(pid, url, photos, seconds, of_these, SECRET if signed else "")


async def _rows(  # noqa: PLR0917 - all of them are the run's
    pid: int, url: str, photos: Sequence[Path], seconds: float, crowds: dict[str, str], secret: str
) -> None:
    async def door(for_s: float) -> dict[str, float]:
        return await run_clients(url, "recognise", photos, 1, for_s, DOOR, secret)

    await door(3.0)
    alone, rows = [await door(seconds)], []
    for name, kind in crowds.items():
        async with watched(pid) as peaks, _crowd(url, kind, seconds, photos) as crowd:
            await asyncio.sleep(SETTLE_S)
            began, before = time.perf_counter(), (processor_s(crowd), processor_s(pid, thread=pid))
            beside = await door(seconds)
            took = time.perf_counter() - began
            clients, loop = (
                (after - then) / took
                for after, then in zip((processor_s(crowd), processor_s(pid, thread=pid)), before, strict=True)
            )
        async with _spinner(clients):
            spun = await door(seconds / 2)
        rows.append((name, beside, clients, loop, spun, most(peaks).memory_mb))
    alone.append(await door(seconds))
    idle = {each: sum(one[each] for one in alone) / len(alone) for each in ("p50_ms", "p99_ms")}
    for name, beside, clients, loop, spun, memory_mb in rows:
        print(
            f"| {name} | {idle['p50_ms']:.0f} | {idle['p99_ms']:.0f} | {beside['p50_ms']:.0f} | {beside['p99_ms']:.0f} "
            f"| {beside['p99_ms'] / idle['p99_ms']:.1f} | {clients:.2f} | {loop:.2f} | {spun['p99_ms']:.0f} "
            f"| {spun['p99_ms'] / idle['p99_ms']:.1f} | {beside['answered']:.0f} "
            f"| {beside['refused'] + beside['broken']:.0f} | {memory_mb:.0f} |",
            flush=True,
        )
    photos_alone, p99s = sum(each["answered"] for each in alone), [round(each["p99_ms"]) for each in alone]
    print(f"\nAlone: {photos_alone:.0f} photos, p99 {p99s} ms")


@asynccontextmanager
async def _service(settings: Settings, photos: Sequence[Path], *, signed: bool) -> AsyncIterator[tuple[int, str]]:
    """A warm service with some faces, which asks for signatures if that is wanted."""
    secret = SECRET if signed else ""
    ours = dataclasses.replace(settings, data=settings.data / ("signed" if signed else "open"), devices=None)
    if signed:
        devices = settings.data / "devices.toml"
        devices.touch(0o600)
        devices.write_text(f'[{DEVICE}]\nsecrets = ["{SECRET}"]\n')
        ours = dataclasses.replace(ours, devices=devices)
    async with service_process(ours) as (pid, url):
        await run_clients(url, "register", photos, 8, 6.0, DOOR, secret)
        await run_clients(url, "recognise", photos, 32, 3.0, DOOR, secret)
        yield pid, url


@asynccontextmanager
async def _crowd(url: str, name: str, seconds: float, photos: Sequence[Path]) -> AsyncIterator[int]:
    """The number of the process of its clients."""
    connections = CROWDS[name].connections if name in CROWDS else IMPORTERS
    command = ("-m", "scripts.bench.crowds", url, name, str(connections), str(seconds + 60))
    async with _program(*command, said="\n".join(map(str, photos))) as pid:
        yield pid


@asynccontextmanager
async def _spinner(share: float) -> AsyncIterator[None]:
    """Takes that share of a processor, some milliseconds at a time."""
    spin = (
        "import sys,time\nshare=min(float(sys.argv[1]), 1.0)\n"
        "while True:\n"
        "    end=time.thread_time()+0.005*share; began=time.perf_counter()\n"
        "    while time.thread_time()<end: pass\n"
        "    time.sleep(max(0.0, 0.005-(time.perf_counter()-began)))\n"
    )
    async with _program("-c", spin, str(share)):
        yield


@asynccontextmanager
async def _program(*command: str, said: str = "") -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=asyncio.subprocess.PIPE)
    assert process.stdin  # noqa: S101 - opened as a pipe
    process.stdin.write(said.encode())
    process.stdin.close()
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()
