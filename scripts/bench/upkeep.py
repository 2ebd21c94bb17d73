"""What a door notices while an embedded gallery is made anew beside itself: its index built, removed faces erased.

Run alone as `python -m scripts.bench.upkeep [FACES]`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scripts.bench.edge import BATCH, LIMIT, PICTURE_BYTES, PROBES, STRANGERS, insert, opened, stored_face
from scripts.bench.environments import BENCH
from scripts.bench.made_up import Vectors, people_of
from scripts.resident import resident_mb
from service.commands.markdown import table
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY

FACES = 100_000
REMOVED = 100
IDLE_S = 5.0
PAUSE_S = 0.02
"""Between two requests of the door."""
REGISTRATION_EVERY = 10
"""Requests of the door: the others are searches."""
INDEX_FROM = 10_000
LIMIT_S = 12 * 3600.0


@dataclass(slots=True)
class Door:
    """What a door asks, one after another, and how many milliseconds it waited for each answer."""

    store: EdgeStore
    probes: Vectors
    face_id: int
    """Of the last face that it registered."""
    searches: list[float] = field(default_factory=list)
    registrations: list[float] = field(default_factory=list)

    async def ask(self, number: int) -> None:
        """Search, or now and then register."""
        probe = self.probes[number % len(self.probes)]
        began = time.perf_counter()
        if number % REGISTRATION_EVERY:
            await self.store.search(probe, LIMIT, gallery=DEFAULT_GALLERY)
            self.searches.append((time.perf_counter() - began) * 1000)
        else:
            self.face_id += 1
            await self.store.add(stored_face(self.face_id, ""), probe)
            self.registrations.append((time.perf_counter() - began) * 1000)

    async def ask_while(self, goes_on: Callable[[], bool]) -> None:
        """Go on asking."""
        number = 0
        while goes_on():
            await self.ask(number)
            number += 1
            await asyncio.sleep(PAUSE_S)

    def row(self, name: str) -> list[str]:
        """What came out, for the table."""
        return [name, *(_percentiles(each) for each in (self.searches, self.registrations))]


def upkeep_section(faces: int = FACES) -> str:
    """The report's section, in Markdown; 100,000 faces take some minutes."""
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as temporary:  # on a disk; /tmp may be memory
        rows, notes = asyncio.run(_measure(Path(temporary) / "gallery", faces))
    return "\n".join([
        "## A gallery made anew while it serves",
        "",
        f"{faces:,} faces, of which {REMOVED} were removed; a door asks one thing after another, {PAUSE_S:g} s apart,",
        f"every {REGISTRATION_EVERY}th of them a registration. p50 / p99 / longest, in milliseconds.",
        "",
        table(["the door's", "searches", "registrations"], rows),
        "",
        *notes,
    ])  # fmt: skip


async def _measure(folder: Path, size: int) -> tuple[list[list[str]], list[str]]:
    random = np.random.default_rng(0)
    vectors, probes = people_of(size, random, PROBES, STRANGERS)
    pictures = [base64.b64encode(random.bytes(PICTURE_BYTES)).decode() for _ in range(BATCH * 8)]
    async with opened(folder) as store:
        await insert(store, vectors, pictures)
        await store.remove_many(range(1, REMOVED + 1), gallery=DEFAULT_GALLERY)
        before = await _idle(Door(store, probes, size))
    disk_before = _disk_mb(folder)
    async with opened(folder, index_from=INDEX_FROM) as store:
        during = Door(store, probes, before.face_id)
        began, most = time.perf_counter(), _Most(folder)
        renewed = asyncio.create_task(_renewed(store, size, most))
        await during.ask_while(lambda: not renewed.done())
        await renewed
        took_s = time.perf_counter() - began
        after = await _idle(Door(store, probes, during.face_id))
    rows = [before.row("before, without an index"), during.row("meanwhile"), after.row("after, with an index")]
    notes = [
        f"It took {took_s:.0f} s. At most {most.memory_mb:,.0f} MB of memory, mapped files among them, were the two",
        f"gallery processes' and the benchmark's own; the folder had {disk_before:,.0f} MB before,",
        f"{most.disk_mb:,.0f} MB at most, and {_disk_mb(folder):,.0f} MB in the end.",
    ]
    return rows, notes


async def _idle(door: Door) -> Door:
    until = time.perf_counter() + IDLE_S
    await door.ask_while(lambda: time.perf_counter() < until)
    return door


@dataclass(slots=True)
class _Most:
    """The most that was seen."""

    folder: Path
    memory_mb: float = 0.0
    disk_mb: float = 0.0

    def look(self) -> None:
        self.memory_mb = max(self.memory_mb, resident_mb(os.getpid()))
        self.disk_mb = max(self.disk_mb, _disk_mb(self.folder))


async def _renewed(store: EdgeStore, size: int, most: _Most) -> None:
    """Until nearly all faces are indexed, and the former shard is gone. Raises TimeoutError."""
    async with asyncio.timeout(LIMIT_S):
        while (await store.figures()).indexed < 0.9 * size or (most.folder / "shard.gone").exists():
            await asyncio.to_thread(most.look)
            await asyncio.sleep(1)


def _disk_mb(folder: Path) -> float:
    taken = 0
    for parent, _, names in os.walk(folder):  # which passes over what vanishes
        for name in names:
            with suppress(FileNotFoundError):
                taken += Path(parent, name).stat().st_blocks * 512
    return taken / 1e6


def _percentiles(took: list[float]) -> str:
    p50, p99 = np.percentile(took, [50, 99])
    return f"{p50:.1f} / {p99:.1f} / {max(took):.0f}"


if __name__ == "__main__":
    print(upkeep_section(*map(int, sys.argv[1:])))
