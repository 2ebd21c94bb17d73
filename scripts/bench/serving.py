"""What serving adds to the engine: recognitions a second over HTTP against the bare engine, the event loop's longest
stall meanwhile, the time of a start, and the memory after many photos of random sizes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import itertools
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp import web
from PIL import Image

from scripts.bench.client import recognise
from scripts.bench.embedding import bare_engine
from scripts.bench.stalls import Stalls, watched
from scripts.resident import resident_mb
from service.http.app import create_app
from service.http.connections import Runner
from service.models import selection
from service.settings import Settings
from service.vision.engine import open_engine

CLIENTS = 16
SECONDS = 12.0
ENROLLED = 50
MEMORY = (200, 2000)
"""Photos after which memory is looked at."""


async def serving_section(
    settings: Settings, photos: Sequence[Path], counts: tuple[int, int] = MEMORY, seconds: float = SECONDS
) -> str:
    """A report section in Markdown; `photos` are small portraits such as LFW's.

    Memory is looked at after so many photos as `counts` say.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = dataclasses.replace(settings, data=Path(folder), port=0, host="127.0.0.1")
        bare, http, stalls = await _throughput(settings, photos, seconds)
        listening_s, ready_s, recognised_s = await _start(settings, photos[0].read_bytes())
        early, late = await _memory(settings, photos, counts)
    rows = [
        ("bare engine, 16 callers", f"{bare:.1f} photos/s"),
        (
            "HTTP recognitions, 16 clients",
            f"{http['per_second']:.1f}/s; p50 {http['p50_ms']:.0f} ms, p99 {http['p99_ms']:.0f} ms",
        ),
        ("HTTP against the bare engine", f"{http['per_second'] / bare:.0%}"),
        ("longest stall of the event loop meanwhile", f"{stalls.longest * 1000:.1f} ms"),
        ("longest stall of an idle process beside it", f"{stalls.idle * 1000:.1f} ms"),
        ("start of the process until its address is open, files cached", f"{listening_s:.1f} s"),
        ("… until it is ready", f"{ready_s:.1f} s"),
        ("… until a photo that was sent at once is recognised", f"{recognised_s:.1f} s"),
        (f"memory after {counts[0]:,} photos of random sizes, service + gallery", f"{early:.0f} MB"),
        (f"memory after {counts[1]:,}", f"{late:.0f} MB ({late / early - 1:+.0%})"),
    ]
    return "\n".join(["## Serving", "", "| | |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in rows)])


async def _throughput(
    settings: Settings, photos: Sequence[Path], seconds: float
) -> tuple[float, dict[str, float], Stalls]:
    """The bare engine's photos a second, the clients' report, and how the event loop fared."""
    files = selection.prepare(settings, kept=None)
    engine = await open_engine(settings, files)
    await engine.warm()
    before, _ = await bare_engine(engine, photos, CLIENTS, seconds / 2)
    async with running(settings) as url:
        await enroll(url, photos[:ENROLLED])
        async with watched(stalls := Stalls()):
            report = await clients_in_own_process(url, photos, seconds=seconds)
    after, _ = await bare_engine(engine, photos, CLIENTS, seconds / 2)
    await engine.close()
    return (before + after) / 2, report, stalls


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """The whole application in this process, so that its event loop can be watched; its address."""
    runner = Runner(create_app(settings), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.host, 0).start()
    try:
        yield f"http://{settings.host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def clients_in_own_process(
    url: str, photos: Sequence[Path], *, clients: int = CLIENTS, seconds: float = SECONDS
) -> dict[str, float]:
    """What `scripts.bench.client` says of so many clients, one after another each, for so many seconds."""
    command = [sys.executable, "-m", "scripts.bench.client", url, str(clients), str(seconds)]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate("\n".join(str(path) for path in photos).encode())
    report: dict[str, float] = json.loads(said)
    return report


async def enroll(url: str, photos: Sequence[Path]) -> None:
    """Register each photo under its file's name; one without a face is passed over."""
    async with aiohttp.ClientSession() as session:
        for path in photos:
            form = aiohttp.FormData({"remark": path.stem})
            form.add_field("image", path.read_bytes(), filename=path.name)
            async with session.post(f"{url}/registration_face", data=form) as response:
                await response.read()


@asynccontextmanager
async def service_process(settings: Settings) -> AsyncIterator[tuple[int, str]]:
    """`python -m service` with these settings; its process id and address."""
    environ = {f"FACE_{name.upper()}": str(value) for name, value in dataclasses.asdict(settings).items() if value}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", env=os.environ | environ | {"FACE_PORT": "0"}, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr  # noqa: S101 - opened as a pipe
    address = None
    try:
        while line := (await process.stderr.readline()).decode():
            if address := re.search(r"http://[\d.:]+", line):
                break
        draining = asyncio.create_task(process.stderr.read())
        yield process.pid, address[0] if address else ""
    finally:
        with suppress(ProcessLookupError):  # it may have been told already
            process.send_signal(signal.SIGTERM)
        await process.wait()
        await draining


async def _start(settings: Settings, photo: bytes) -> tuple[float, float, float]:
    """Seconds from starting the process until its address is open, it is ready, and has answered a photo."""
    began = time.perf_counter()

    async def ready(url: str) -> float:
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == HTTPStatus.OK:
                        return time.perf_counter() - began
                await asyncio.sleep(0.01)

    async def recognised(url: str) -> float:
        await recognise(url, [photo], clients=1, seconds=0.0)
        return time.perf_counter() - began

    async with service_process(settings) as (_, url):
        listening_s = time.perf_counter() - began
        return listening_s, *await asyncio.gather(ready(url), recognised(url))


async def _memory(settings: Settings, photos: Sequence[Path], counts: tuple[int, int]) -> tuple[float, float]:
    """Resident megabytes of the service and its child after so many photos of random sizes, and after so many more."""
    resized = _random_sizes(photos)
    async with service_process(settings) as (pid, url), aiohttp.ClientSession() as session:
        measured = []
        for count in (counts[0], counts[1] - counts[0]):
            gate = asyncio.Semaphore(4)

            async def send(photo: bytes, gate: asyncio.Semaphore = gate) -> None:
                async with gate, session.post(f"{url}/recognition_face", data={"image": photo}) as response:
                    await response.read()

            await asyncio.gather(*(send(next(resized)) for _ in range(count)))
            measured.append(resident_mb(pid))
    return measured[0], measured[1]


def _random_sizes(photos: Sequence[Path]) -> Iterator[bytes]:
    """JPEGs of 100 to 1,600 pixels a side, of any shape in between, the same in every run."""
    chance = random.Random(7)  # noqa: S311 - for repeatable sizes
    for path in itertools.cycle(photos):
        with Image.open(path) as photo:
            picture = photo.convert("RGB").resize((chance.randint(100, 1600), chance.randint(100, 1600)))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=80)
        yield out.getvalue()
