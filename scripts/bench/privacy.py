"""What encryption and the audit trail cost: registering, recognising and listing, with and without, in turns.

Run alone as `python -m scripts.bench.privacy`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp

from scripts.bench.edge import PICTURE_BYTES
from scripts.bench.environments import BENCH
from scripts.bench.filling import fill
from scripts.bench.photos import FACES, photos_below
from scripts.bench.serving import service_process
from service.commands.markdown import table
from service.models import selection
from service.settings import Settings
from service.stores.opening import open_store

KNOWN = 2000
"""Faces of each gallery before it begins."""
ROUNDS = 40
LISTED = 1000
LIST_EVERY = 4
"""Rounds."""

Times = dict[tuple[str, str], list[float]]
"""Milliseconds, by service and request."""


def privacy_section(photos: Sequence[Path]) -> str:
    """The report's section, in Markdown."""
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        times = asyncio.run(measure(Path(folder), photos))
    rows = []
    for request in ("register", "recognise", f"list {LISTED:,}"):
        plain = statistics.median(times["plain", request])
        cells = [f"{plain:.1f} ms"]
        for name in ("encrypted", "audit"):
            median = statistics.median(times[name, request])
            cells.append(f"{median:.1f} ms ({median / plain:.2f})")
        rows.append([request, *cells])
    return "\n".join([
        "## Encryption and the audit trail",
        "",
        f"Median milliseconds of {ROUNDS} requests one after another, three services taking turns, each with {KNOWN:,}",
        f"faces and pictures of {PICTURE_BYTES * 4 // 3 // 1000} KB; in brackets the ratio to the first.",
        "",
        table(["request", "neither", "with a key", "with a trail"], rows),
    ])  # fmt: skip


async def measure(folder: Path, photos: Sequence[Path]) -> Times:
    """Run the three services at the same time, so that what disturbs one disturbs all."""
    plain = Settings(data=folder / "plain", log_level="WARNING")
    variants = {
        "plain": plain,
        "encrypted": replace(plain, data=folder / "encrypted", encryption_key="5a" * 32),
        "audit": replace(plain, data=folder / "audit", audit=folder / "audit" / "trail.sqlite"),
    }
    times: Times = defaultdict(list)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        urls = {}
        for name, settings in variants.items():
            await _fill(settings)
            # It says where it listens at INFO.
            _, urls[name] = await stack.enter_async_context(service_process(replace(settings, log_level="INFO")))
        names = itertools.cycle(itertools.permutations(urls))
        for number, path in zip(range(-5, ROUNDS), itertools.cycle(photos)):
            photo = path.read_bytes()
            for name in next(names):
                for request, took_ms in await _asked(session, urls[name], photo, number):
                    if number >= 0:
                        times[name, request].append(took_ms)
    return times


async def _asked(session: aiohttp.ClientSession, url: str, photo: bytes, number: int) -> list[tuple[str, float]]:
    """How long each request took."""
    asked = [
        ("register", "POST", f"/registration_face?remark=new%20{number}"),
        ("recognise", "POST", "/recognition_face"),
    ]
    if number % LIST_EVERY == 0:
        asked.append((f"list {LISTED:,}", "GET", f"/get_registration_face?limit={LISTED}"))
    took = []
    for request, method, path in asked:
        form = {"image": photo} if method == "POST" else None
        began = time.perf_counter()
        async with session.request(method, url + path, data=form) as response:
            await response.read()
        took.append((request, (time.perf_counter() - began) * 1000))
    return took


async def _fill(settings: Settings) -> None:
    contract = selection.prepare(settings, kept=None).contract
    await fill(open_store(settings), contract, KNOWN, base64.b64encode(os.urandom(PICTURE_BYTES)).decode())


if __name__ == "__main__":
    print(privacy_section(photos_below(Path(sys.argv[1]) if sys.argv[1:] else FACES)[:ROUNDS]))
