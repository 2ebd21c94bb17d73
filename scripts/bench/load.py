"""`make load`: how the service does when many clients come at once, and whether a crowd keeps others from the door.

Run from the project's folder: `python -m scripts.bench.load`. A service of its own runs on an empty gallery, with the
settings of the environment. Numbers mean something on a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.bench.doors import doors
from scripts.bench.load_clients import run_clients
from scripts.bench.machine import machine
from scripts.bench.photos import FACES, photo_sets
from scripts.bench.serving import enroll, service_process
from scripts.bench.watching import Peak, most, watched
from service.settings import Settings

OPERATIONS = ("register", "recognise")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(Settings.from_env(os.environ), data=Path(folder), host="127.0.0.1")
        photos = photo_sets(options.faces, options.sample, Path(folder))[0].paths
        print(f"# Load\n\n{machine()}\n", flush=True)
        if options.operations and options.clients:
            asyncio.run(_measure(settings, photos, options))
        if options.crowds != []:
            asyncio.run(doors(settings, photos, options.seconds, options.crowds or []))


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
        await run_clients(url, "recognise", photos, 32, 5.0)  # what only a burst needs is compiled
        for operation in options.operations:
            print(_HEAD.format(operation=operation), flush=True)
            for clients in options.clients:
                async with watched(pid) as peaks:
                    report = await run_clients(url, operation, photos, clients, options.seconds)
                print(_row(clients, report, most(peaks)), flush=True)


_HEAD = """
## {operation}

| clients | a second | p50 ms | p95 ms | p99 ms | refused | broken | MB | files |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def _row(clients: int, report: dict[str, float], peak: Peak) -> str:
    times = " | ".join(f"{report[each]:.0f}" for each in ("p50_ms", "p95_ms", "p99_ms", "refused", "broken"))
    return f"| {clients} | {report['per_second']:.1f} | {times} | {peak.memory_mb:.0f} | {peak.files} |"


if __name__ == "__main__":
    main()
