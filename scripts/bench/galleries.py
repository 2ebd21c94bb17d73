"""What galleries and people cost in the embedded store: a search in one gallery of many, and pages of a list of people.

Run alone as `python -m scripts.bench.galleries`.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from scripts.bench.edge import BATCH, LIMIT, PICTURE_BYTES, PROBES, STRANGERS, opened, stored_face
from scripts.bench.edge_people import PAGE, Ask, employee, pages_of_people
from scripts.bench.environments import BENCH
from scripts.bench.made_up import Vectors, people_of
from service.commands.markdown import table
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY, StoredFace

GALLERIES = 20
FACES = 5_000
"""In each gallery."""
PEOPLE = 100_000
"""All named `employee-…`, so that their names begin alike; one face each."""
REPEATS = 20


def galleries_section(galleries: int = GALLERIES, faces: int = FACES, people: int = PEOPLE) -> str:
    """The report's section, in Markdown; it takes minutes, most of them for writing."""
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as temporary:  # on a disk; /tmp may be memory
        searches = asyncio.run(_searches(Path(temporary), galleries, faces))
        pages = asyncio.run(_pages(Path(temporary), people))
    return "\n".join([
        "## Galleries and people",
        "",
        f"Top {LIMIT} in one of {galleries} galleries of {faces:,} faces in one store, and in a store that holds that",
        "gallery alone, in turns.",
        "",
        table(["search", "p50", "p95"], searches),
        "",
        f"Pages of {PAGE} of {people:,} people whose names all begin with `employee-`.",
        "",
        table(["page", "p50", "p95"], pages),
    ])  # fmt: skip


async def _searches(folder: Path, galleries: int, faces: int) -> list[list[str]]:
    vectors, probes = people_of(galleries * faces, np.random.default_rng(0), PROBES, STRANGERS)
    mine = f"gallery {galleries // 2}"
    first = galleries // 2 * faces
    rows = []
    async with opened(folder / "shared") as shared, opened(folder / "alone") as alone:
        for nth in range(galleries):
            name = f"gallery {nth}"
            await shared.create_gallery(name, datetime.now(UTC))
            await _insert(shared, _faces(range(nth * faces, (nth + 1) * faces), gallery=name), vectors)
        await alone.create_gallery(mine, datetime.now(UTC))
        await _insert(alone, _faces(range(first, first + faces), gallery=mine), vectors)
        for state in ("exact", "indexed"):

            def ask(store: EdgeStore, probe: Vectors) -> Ask:
                return lambda: store.search(probe, LIMIT, gallery=mine)

            took = await _times([(ask(shared, probe), ask(alone, probe)) for probe in probes])
            rows += [
                [f"{state}, among {galleries} galleries", *_milliseconds(took[0])],
                [f"{state}, alone", *_milliseconds(took[1])],
            ]
            await shared.optimize()
            await alone.optimize()
    return rows


async def _pages(folder: Path, people: int) -> list[list[str]]:
    vectors = np.random.default_rng(0).standard_normal((people, 512), np.float32)
    async with opened(folder / "people") as store:
        faces = (replace(each, remark=employee(n)) for n, each in enumerate(_faces(range(people))))
        await _insert(store, faces, vectors)
        asked = pages_of_people(store, people)
        took = await _times([list(asked.values())] * REPEATS)
        return [[name, *_milliseconds(times)] for name, times in zip(asked, took, strict=True)]


def _faces(numbers: Iterable[int], *, gallery: str = DEFAULT_GALLERY) -> Iterable[StoredFace]:
    picture = base64.b64encode(bytes(PICTURE_BYTES)).decode()
    return (replace(stored_face(number + 1, picture), gallery=gallery) for number in numbers)


async def _insert(store: EdgeStore, faces: Iterable[StoredFace], vectors: Vectors) -> None:
    """Write them all; a face's embedding is the row of its number less one."""
    batch: list[StoredFace] = []
    for face in faces:
        batch.append(face)
        if len(batch) == BATCH:
            await store.add_many([(each, vectors[each.face_id - 1]) for each in batch])
            batch = []
    await store.add_many([(each, vectors[each.face_id - 1]) for each in batch])


async def _times(rounds: Sequence[Sequence[Ask]]) -> list[list[float]]:
    """Milliseconds of each of the things asked in every round, one after another."""
    took: list[list[float]] = [[] for _ in rounds[0]]
    for each in rounds:
        for nth, ask in enumerate(each):
            began = time.perf_counter()
            await ask()
            took[nth].append((time.perf_counter() - began) * 1000)
    return took


def _milliseconds(took: list[float]) -> list[str]:
    p50, p95 = np.percentile(took, [50, 95])
    return [f"{p50:.1f} ms", f"{p95:.1f} ms"]


if __name__ == "__main__":
    print(galleries_section())
