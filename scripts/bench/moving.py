"""How much memory a service needs while it gives out a whole gallery: as an export, and as the list of all faces.

Run alone as `python -m scripts.bench.moving [FACES ...]`; needs /proc.
"""

from __future__ import annotations

import asyncio
import base64
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from scripts.bench.edge import PICTURE_BYTES
from scripts.bench.environments import BENCH
from scripts.bench.filling import fill
from scripts.bench.serving import service_process
from service.commands.markdown import table
from service.models import selection
from service.settings import Settings
from service.stores.edge.store import EdgeStore

SIZES = (20_000,)
WAYS = ("/v1/export", "/get_registration_face")
SAMPLE_S = 0.05
SETTLED_S = 5


@dataclass(frozen=True, slots=True)
class Run:
    """One answer: its bytes, how long it took, and by how many bytes memory was above that before, at most.

    `own` is memory of the service's and the gallery's process alone; `with_files` counts mapped files, too, which the
    system drops when it needs the room.
    """

    faces: int
    path: str
    size: int
    took_s: float
    own: int
    with_files: int


def moving_section(sizes: Sequence[int] = SIZES) -> str:
    """The report's section, in Markdown."""
    BENCH.mkdir(exist_ok=True)
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=BENCH) as folder:
            for run in asyncio.run(measure(Settings(data=Path(folder)), size)):
                memory = f"{run.own / 1e6:.1f} / {run.with_files / 1e6:.1f} MB"
                speed = f"{run.faces / run.took_s:,.0f}"
                rows.append([f"{run.faces:,}", f"`{run.path}`", f"{run.size / 1e6:,.0f} MB", speed, memory])
    return "\n".join([
        "## Whole galleries",
        "",
        "By how much the memory of the service's two processes grows at most, its own and with mapped files, while one",
        f"answer gives all faces, each with a picture of {PICTURE_BYTES * 4 // 3 // 1000} KB.",
        "",
        table(["faces", "answer", "size", "faces a second", "memory"], rows),
    ])  # fmt: skip


async def measure(settings: Settings, faces: int) -> list[Run]:
    """Fill the gallery of the settings, which is new, and have it given out in each of WAYS."""
    await _fill(settings, faces)
    runs = []
    async with service_process(settings) as (pid, url), aiohttp.ClientSession() as session:
        await _take(session, f"{url}/get_registration_face?limit=200")
        await _settled(pid)
        for path in WAYS:
            before, peak, done = _memory(pid), [0, 0], asyncio.Event()
            watching = asyncio.create_task(_watch(pid, peak, done))
            began = time.perf_counter()
            size = await _take(session, url + path)
            took_s = time.perf_counter() - began
            done.set()
            await watching
            runs.append(Run(faces, path, size, took_s, peak[0] - before[0], peak[1] - before[1]))
    return runs


async def _fill(settings: Settings, faces: int) -> None:
    contract = selection.prepare(settings, kept=None).contract
    await fill(EdgeStore(settings.data / "gallery"), contract, faces, base64.b64encode(bytes(PICTURE_BYTES)).decode())


async def _take(session: aiohttp.ClientSession, url: str) -> int:
    """Read an answer and forget it; how many bytes it had."""
    size = 0
    async with session.get(url, timeout=aiohttp.ClientTimeout(total=None)) as response:
        response.raise_for_status()
        async for chunk in response.content.iter_any():
            size += len(chunk)
    return size


async def _watch(pid: int, peak: list[int], done: asyncio.Event) -> None:
    while not done.is_set():
        peak[:] = map(max, peak, _memory(pid))
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), SAMPLE_S)


async def _settled(pid: int) -> None:
    """Wait until the service's own memory has stayed for SETTLED_S: after its start it warms its models."""
    steady, last = 0, _memory(pid)[0]
    while steady < SETTLED_S:
        await asyncio.sleep(1)
        now = _memory(pid)[0]
        steady, last = (steady + 1 if abs(now - last) < 2**20 else 0), now


def _memory(pid: int) -> tuple[int, int]:
    """RssAnon and VmRSS of a process and its children together, in bytes (Linux)."""
    own = with_files = 0
    for each in (str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        found = dict(re.findall(r"(RssAnon|VmRSS):\s+(\d+) kB", Path(f"/proc/{each}/status").read_text()))
        own += int(found["RssAnon"]) * 1024
        with_files += int(found["VmRSS"]) * 1024
    return own, with_files


if __name__ == "__main__":
    print(moving_section([int(each) for each in sys.argv[1:]] or SIZES))
