"""`make load`: how the service does when many clients come at once, and whether a crowd keeps others from the door.

Run from the project's folder: `python -m scripts.bench.load`. A service of its own runs on an empty gallery, with the
settings of the environment. Numbers mean something on a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from scripts.bench.crowds import CROWDS
from scripts.bench.machine import machine
from scripts.bench.photos import FACES, photo_sets
from scripts.bench.serving import enroll, service_process
from scripts.resident import resident_mb
from service.settings import Settings

DOOR, CROWD = "127.0.0.2", "127.0.0.1"
"""Addresses that all are this machine."""
OPERATIONS = ("register", "recognise")
IMPORTERS = 64
WATCH_S = 0.5
SETTLE_S = 1.0
"""What a crowd gets to come in before the door is measured."""


class Peak(NamedTuple):
    """The most that the service's processes had: memory in MB, and open files of the first of them."""

    memory_mb: float
    files: int


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(Settings.from_env(os.environ), data=Path(folder), host="127.0.0.1")
        photos = photo_sets(options.faces, options.sample, Path(folder))[0].paths
        print(f"# Load\n\n{machine()}\n", flush=True)
        asyncio.run(_measure(settings, photos, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement (%(default)s)")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64, 256], help="at once (%(default)s)")
    parser.add_argument("--operations", nargs="*", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--crowds", nargs="*", help="only those with one of these texts in their name; none: no crowds")
    parser.add_argument("--faces", type=Path, default=FACES, help="folder with lfw_mini (%(default)s)")
    parser.add_argument("--sample", type=int, default=100, help="photos (%(default)s)")
    return parser.parse_args()


async def _measure(settings: Settings, photos: Sequence[Path], options: argparse.Namespace) -> None:
    async with service_process(settings) as (pid, url):
        await enroll(url, photos)
        await _clients(url, "recognise", photos, 32, 5.0)  # what only a burst needs is compiled
        for operation in options.operations:
            print(_HEAD.format(operation=operation), flush=True)
            for clients in options.clients:
                async with _watched(pid) as peaks:
                    report = await _clients(url, operation, photos, clients, options.seconds)
                print(_row(clients, report, _most(peaks)), flush=True)
        if options.crowds != []:
            await _crowds(pid, url, photos, options)


_HEAD = """
## {operation}

| clients | a second | p50 ms | p95 ms | p99 ms | refused | broken | MB | files |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""

_CROWD_HEAD = """
## The door, beside a crowd

Recognitions of one client at another address, one after another: alone, beside the crowd, and alone again.

| crowd | p50 ms alone | p99 | p50 ms beside it | p99 | p50 × | p99 × | refused | broken | MB | files |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def _row(clients: int, report: dict[str, float], peak: Peak) -> str:
    times = " | ".join(f"{report[each]:.0f}" for each in ("p50_ms", "p95_ms", "p99_ms", "refused", "broken"))
    return f"| {clients} | {report['per_second']:.1f} | {times} | {peak.memory_mb:.0f} | {peak.files} |"


async def _crowds(pid: int, url: str, photos: Sequence[Path], options: argparse.Namespace) -> None:
    print(_CROWD_HEAD, flush=True)
    names = {f"{IMPORTERS} clients that register": ("register", IMPORTERS)}
    names |= {f"{IMPORTERS} clients that recognise": ("recognise", IMPORTERS)}
    names |= {name: (name, kind.connections) for name, kind in CROWDS.items()}
    for name, (kind, connections) in names.items():
        if options.crowds and not any(each in name for each in options.crowds):
            continue
        alone = await _clients(url, "recognise", photos, 1, options.seconds / 2, DOOR)
        async with _watched(pid) as peaks, _crowd(url, kind, connections, options.seconds, photos):
            await asyncio.sleep(SETTLE_S)
            beside = await _clients(url, "recognise", photos, 1, options.seconds, DOOR)
        after = await _clients(url, "recognise", photos, 1, options.seconds / 2, DOOR)
        p50, p99 = (min(alone[each], after[each]) for each in ("p50_ms", "p99_ms"))
        peak = _most(peaks)
        print(
            f"| {name} | {p50:.0f} | {p99:.0f} | {beside['p50_ms']:.0f} | {beside['p99_ms']:.0f} "
            f"| {beside['p50_ms'] / p50:.1f} | {beside['p99_ms'] / p99:.1f} | {beside['refused']:.0f} "
            f"| {beside['broken']:.0f} | {peak.memory_mb:.0f} | {peak.files} |",
            flush=True,
        )


async def _clients(  # noqa: PLR0917 - all of them are the run's
    url: str, operation: str, photos: Sequence[Path], clients: int, seconds: float, address: str = CROWD
) -> dict[str, float]:
    command = ("-m", "scripts.bench.load_clients", url, operation, str(clients), str(seconds), address)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate("\n".join(map(str, photos)).encode())
    report: dict[str, float] = json.loads(said)
    return report


@asynccontextmanager
async def _crowd(url: str, name: str, connections: int, seconds: float, photos: Sequence[Path]) -> AsyncIterator[None]:
    command = ("-m", "scripts.bench.crowds", url, name, str(connections), str(seconds + 60))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=asyncio.subprocess.PIPE)
    assert process.stdin  # noqa: S101 - opened as a pipe
    process.stdin.write("\n".join(map(str, photos)).encode())
    process.stdin.close()
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _watched(pid: int) -> AsyncIterator[list[Peak]]:
    """Samples of the service's memory and files as long as the block runs."""
    samples: list[Peak] = []

    async def watch() -> None:
        while True:
            samples.append(Peak(resident_mb(pid), _open_files(pid)))
            await asyncio.sleep(WATCH_S)

    watching = asyncio.create_task(watch())
    try:
        yield samples
    finally:
        watching.cancel()


def _open_files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _most(samples: Sequence[Peak]) -> Peak:
    return Peak(max(each.memory_mb for each in samples), max(each.files for each in samples))


if __name__ == "__main__":
    main()
