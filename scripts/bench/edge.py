"""The embedded gallery at size: writing, searching exactly and through the index, opening again, disk and memory, and
how long the event loop of the process that asks ever stands still meanwhile.

Run alone as `python -m scripts.bench.edge [--sizes 10000 100000 1000000] [--embeddings FILE] [--without-index]`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import itertools
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from scripts.bench.edge_people import employee, people_times
from scripts.bench.environments import BENCH
from scripts.bench.made_up import DIMENSION, PHOTOS_A_PERSON, Vectors, nearest, people_of
from scripts.bench.stalls import Stalls, watched
from service.commands.markdown import table
from service.gallery.identification import Identifier
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY, Box, ModelContract, StoredFace

SIZES = (10_000, 100_000)
PROBES = 500
LIMIT = 5  # nearest faces, as the device contract asks for
BATCH = 64
IN_FLIGHT = 2  # batches: one is on its way while the other is written
PICTURE_BYTES = 4500
"""A face's kept picture; 6,000 characters as base64."""
STRANGERS = 0.5
"""Share of the probes that show people who are not in the gallery."""
CONTRACT = ModelContract(model="benchmark", digest="0" * 64, preprocessing=1, dimension=DIMENSION)


@dataclass(frozen=True, slots=True)
class Searches:
    """Milliseconds of half and of all but 1 % of the searches, and the share of the true nearest five found."""

    p50_ms: float
    p99_ms: float
    recall: float


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured on a gallery of so many faces; memory is the gallery process's, in bytes, by Linux's name.

    RssAnon is its own, VmRSS counts the mapped files too, which the system drops when it needs the room.
    """

    faces: int
    insertions_per_second: float
    exact: Searches
    indexing: tuple[float, Searches] | None
    """Seconds for building the index, and searches through it."""
    reopen_s: float
    killed_s: float
    """Opening after a kill, to the first answer."""
    people: dict[str, tuple[float, float]]
    disk: int
    memory: dict[str, int]
    building: dict[str, int]
    """The most memory while the index was built."""
    stalls: Stalls


def edge_section(sizes: Sequence[int] = SIZES, real: Path | None = None, *, index: bool = True) -> str:
    """The report's section, in Markdown; 100,000 faces take minutes, most of them for building the index.

    `real` is a file of embeddings (.npy), of which other people's are made.
    """
    runs = [asyncio.run(_measure(size, real, index=index)) for size in sizes]
    rows: list[tuple[str, Callable[[Run], str]]] = [
        ("insertions a second", lambda run: f"{run.insertions_per_second:,.0f}"),
        ("top 5 exact, p50 / p99", lambda run: _searches(run.exact)),
        ("recall@5 exact", lambda run: f"{run.exact.recall:.4f}"),
        ("building the index", lambda run: f"{run.indexing[0]:.1f} s" if run.indexing else "–"),
        ("top 5 indexed, p50 / p99", lambda run: _searches(run.indexing[1]) if run.indexing else "–"),
        ("recall@5 indexed", lambda run: f"{run.indexing[1].recall:.4f}" if run.indexing else "–"),
        ("opening again to the first answer", lambda run: f"{run.reopen_s:.2f} s"),
        ("likewise after a kill", lambda run: f"{run.killed_s:.2f} s"),
        ("disk", lambda run: f"{run.disk / 1e6:,.0f} MB, {run.disk / run.faces / 1e3:.1f} KB a face"),
        ("memory, its own / with mapped files", lambda run: _megabytes(run.memory)),
        ("likewise while the index is built", lambda run: _megabytes(run.building)),
        *((f"{name}, p50 / longest", partial(_people, name)) for name in runs[0].people),
        ("longest stall of the event loop", lambda run: f"{run.stalls.longest * 1e3:.1f} ms"),
        ("longest work of the event loop at once", lambda run: f"{run.stalls.own_work * 1e3:.1f} ms"),
        ("longest stall of an idle process beside it", lambda run: f"{run.stalls.idle * 1e3:.1f} ms"),
    ]
    header = ["faces", *(f"{run.faces:,}" for run in runs)]
    return "\n".join([
        "## Embedded gallery",
        "",
        f"{PHOTOS_A_PERSON} photos of each person, every one with a remark of its own, and pictures of",
        f"{PICTURE_BYTES * 4 // 3 // 1000} KB; writes in batches of {BATCH}, each answered once it is on disk;",
        f"{PROBES} searches one after another, half of them for people who are not in the gallery. Recall is against",
        "numpy's brute force. The loop's stalls count what other programs took from it, as the idle process's do; its",
        "longest work at once is processor time, which doesn't.",
        "",
        table(header, [[name, *(show(run) for run in runs)] for name, show in rows]),
    ])  # fmt: skip


async def _measure(size: int, real: Path | None, *, index: bool) -> Run:
    random = np.random.default_rng(0)
    vectors, probes = people_of(size, random, PROBES, STRANGERS, real)
    truth = nearest(vectors, probes, LIMIT)
    pictures = [base64.b64encode(random.bytes(PICTURE_BYTES)).decode() for _ in range(BATCH * IN_FLIGHT * 4)]
    stalls, indexing = Stalls(), None
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as temporary:  # on a disk; /tmp may be memory
        folder = Path(temporary) / "gallery"
        async with opened(folder) as store, watched(stalls):
            insertions = await insert(store, vectors, pictures)
            exact, building = await _search(store, probes, truth), _memory()
            if index:
                optimize_s, building = await _optimize(store)
                indexing = optimize_s, await _search(store, probes, truth)
            people = await people_times(store, size)
        reopen_s = await _first_answer(folder, probes[0], kill=True)
        killed_s = await _first_answer(folder, probes[0])
        async with opened(folder) as store:
            await _search(store, probes, truth)
            memory = _memory()
        disk = sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
    return Run(size, insertions, exact, indexing, reopen_s, killed_s, people, disk, memory, building, stalls)


async def _first_answer(folder: Path, probe: Vectors, *, kill: bool = False) -> float:
    """Seconds from a start to the first answer."""
    began = time.perf_counter()
    async with opened(folder) as store:
        await store.search(probe, LIMIT, gallery=DEFAULT_GALLERY)
        took = time.perf_counter() - began
        if kill:
            await store.kill()
    return took


async def insert(store: EdgeStore, vectors: Vectors, pictures: Sequence[str]) -> float:
    """Write them all, row 0 as face 1, each a person of its own; faces a second."""
    endless = itertools.cycle(pictures)
    starts = iter(range(0, len(vectors), BATCH))

    async def writer() -> None:
        for start in starts:
            batch = vectors[start : start + BATCH]
            await store.add_many([(_employee(start + row, next(endless)), each) for row, each in enumerate(batch)])

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(IN_FLIGHT)))
    return len(vectors) / (time.perf_counter() - began)


async def _optimize(store: EdgeStore) -> tuple[float, dict[str, int]]:
    """Build the index; seconds, and the most memory meanwhile."""
    began = time.perf_counter()
    building, most = asyncio.create_task(store.optimize()), _memory()
    while not building.done():
        most = {name: max(most[name], now) for name, now in _memory().items()}
        await asyncio.wait([building], timeout=0.2)
    await building
    return time.perf_counter() - began, most


async def _search(store: EdgeStore, probes: Vectors, truth: Sequence[set[int]]) -> Searches:
    """Search every probe, one after another."""
    identifier = Identifier(store, score="cosine")  # so that the best are the nearest
    took, found = [], 0
    for probe, true in zip(probes, truth, strict=True):
        began = time.perf_counter()
        matches = await identifier.search(probe, LIMIT, threshold_for=lambda _: -1.0)
        took.append((time.perf_counter() - began) * 1000)
        found += len(true & {match.face.face_id - 1 for match in matches})
    p50, p99 = np.percentile(took, [50, 99])
    return Searches(float(p50), float(p99), found / (LIMIT * len(probes)))


def _employee(number: int, picture: str) -> StoredFace:
    return replace(stored_face(number + 1, picture), remark=employee(number))


def stored_face(face_id: int, picture: str) -> StoredFace:
    """A face with PHOTOS_A_PERSON to its person."""
    return StoredFace(
        face_id=face_id,
        remark=f"person {face_id // PHOTOS_A_PERSON}",
        picture=picture,
        box=Box(0, 0, 100, 100),
        landmarks=((30, 40), (70, 40), (50, 60), (35, 80), (65, 80)),
        detection_score=0.99,
        sha256=hashlib.sha256(str(face_id).encode()).hexdigest(),
        registered_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=face_id),
    )


@asynccontextmanager
async def opened(folder: Path, *, index_from: int = 0) -> AsyncIterator[EdgeStore]:
    """A store of the benchmark's, closed in the end; for `index_from` see EdgeStore."""
    store = EdgeStore(folder, request_limit_s=60, hang_limit_s=60, index_from=index_from)
    await store.open()
    try:
        await store.bind(CONTRACT)
        yield store
    finally:
        await store.close()


def _memory() -> dict[str, int]:
    """RssAnon and VmRSS of the gallery's process, as Linux tells them; empty elsewhere."""
    for file in Path("/proc/self/task").glob("*/children"):
        for pid in file.read_text().split():
            if b"edge.process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                status = Path(f"/proc/{pid}/status").read_text()
                return {name: int(found) * 1024 for name, found in re.findall(r"(RssAnon|VmRSS):\s+(\d+) kB", status)}
    return {}


def _megabytes(memory: dict[str, int]) -> str:
    return f"{memory['RssAnon'] / 1e6:,.0f} / {memory['VmRSS'] / 1e6:,.0f} MB" if memory else "–"


def _searches(searches: Searches) -> str:
    return f"{searches.p50_ms:.1f} / {searches.p99_ms:.1f} ms"


def _people(name: str, run: Run) -> str:
    return "{:.1f} / {:.1f} ms".format(*run.people[name])


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="faces in each gallery")
    options.add_argument("--embeddings", type=Path, help="real ones, one a row (.npy), of which others are made")
    options.add_argument("--without-index", action="store_true", help="which takes most of the time")
    chosen = options.parse_args()
    print(edge_section(chosen.sizes, chosen.embeddings, index=not chosen.without_index))
