"""Damages copies of a gallery in a folder, a file at a time, and tells whether any is served that is not whole.

`python -m scripts.bench.gallery_damages --tries 353 --seed 1` makes a gallery of 300 faces, once closed and twice
killed, and opens a copy for each damage.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from service.errors import StoreUnavailable
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY, Box, Embedding, ModelContract, StoredFace

CONTRACT = ModelContract(model="vggface2", digest="0123456789abcdef" * 4, preprocessing=1, dimension=512)
FACES = 300
GALLERIES = (DEFAULT_GALLERY, "staff")

REFUSED, WHOLE, WRONG = "refused", "whole", "WRONG"


def face(number: int) -> tuple[StoredFace, Embedding]:
    """A made-up face of one of the galleries, and its embedding."""
    rng = np.random.default_rng(number)
    vector = rng.normal(size=CONTRACT.dimension)
    made = StoredFace(
        face_id=number,
        remark=f"person {number // 2}",
        picture=rng.bytes(400).hex(),
        box=Box(0.0, 0.0, 100.0, 100.0),
        landmarks=((1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0)),
        detection_score=0.99,
        sha256=f"{number:064x}",
        registered_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        device_id="gate-1",
    )
    return replace(made, gallery=GALLERIES[number % 2]), (vector / np.linalg.norm(vector)).astype(np.float32)


async def make(folder: Path, *, closed: bool, optimized: bool) -> None:
    """A gallery of FACES faces, after a stop or after the SIGKILL of its process."""
    store = EdgeStore(folder)
    await store.open()
    await store.bind(CONTRACT)
    await store.create_gallery(GALLERIES[1], datetime(2026, 1, 1, tzinfo=UTC))
    faces = [face(number) for number in range(1, FACES + 1)]
    for begin in range(0, FACES - 20, 50):
        await store.add_many(faces[begin : begin + 50])
    if optimized:
        await store.optimize()
    await store.add_many(faces)
    await store.add(replace(faces[0][0], face_id=FACES + 1, remark="gone"), faces[0][1])
    await store.remove(FACES + 1, gallery=None)
    if closed:
        await store.close()
    else:
        await store.kill()


async def judge(folder: Path) -> tuple[str, str]:
    """REFUSED, WHOLE or WRONG, and what was said or found."""
    store = EdgeStore(folder)
    try:
        try:
            if await store.open() is None:
                return WRONG, "taken for a new gallery"
            await store.bind(CONTRACT)
        except StoreUnavailable as error:
            return REFUSED, str(error)
        return await _judge_opened(store)
    finally:
        await store.close()


async def _judge_opened(store: EdgeStore) -> tuple[str, str]:
    found = await _wrong(store)
    return (WRONG, found) if found else (WHOLE, "")


async def _wrong(store: EdgeStore) -> str:
    """What an opened gallery gives that was not put into it, or lacks."""
    there = {each.face_id: (each, vector) async for each, vector in store.scan_embedded()}
    wanted = {number: face(number) for number in range(1, FACES + 1)}
    if there.keys() != wanted.keys():
        return f"{len(there)} faces"
    if any(there[n][0] != wanted[n][0] or not np.array_equal(there[n][1], wanted[n][1]) for n in wanted):
        return "other faces or embeddings"
    if [each.name for each in await store.galleries()] != [*GALLERIES]:
        return "other galleries"
    for gallery in GALLERIES:
        members = [each for each, _ in wanted.values() if each.gallery == gallery]
        listed = [each async for each in store.scan(gallery=gallery)]
        if listed != members or await store.count(gallery=gallery) != len(members):
            return "another list or count"
        for each in members[::5]:
            nearest = await store.search(wanted[each.face_id][1], 1, gallery=gallery)
            known = await store.person(each.remark, gallery=gallery)
            if known is None or [hit.face_id for hit in nearest.neighbours] != [each.face_id]:
                return f"face {each.face_id} isn't found"
    return ""


def _missing(path: Path, _: random.Random) -> None:
    path.unlink()


def _cut(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(rng.choice((0, path.stat().st_size // 2, max(0, path.stat().st_size - 1))))


def _flip(path: Path, rng: random.Random) -> None:
    """Eight bits, where the file has any that are set: preallocated zeros are read by nobody."""
    content = np.fromfile(path, np.uint8)
    used = np.flatnonzero(content)
    for _ in range(8 if len(content) else 0):
        place = int(rng.choice(used)) if len(used) else rng.randrange(len(content))
        content[place] ^= 1 << rng.randrange(8)
    content.tofile(path)


def _zero(path: Path, rng: random.Random) -> None:
    """A page that a disk lost."""
    content = np.fromfile(path, np.uint8)
    used = np.flatnonzero(content)
    place = int(rng.choice(used)) // 4096 * 4096 if len(used) else 0
    content[place : place + 4096] = 0
    content.tofile(path)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "missing": _missing,
    "cut": _cut,
    "flipped": _flip,
    "zeroed": _zero,
}


def copy(source: Path, target: Path) -> None:
    """With its holes."""
    shutil.rmtree(target, ignore_errors=True)
    command = ["cp", "-a", "--sparse=always", str(source), str(target)]
    subprocess.run(command, check=True)  # noqa: S603 - our own words


async def attempt(galleries: Sequence[Path], work: Path, tries: int, seed: int) -> list[tuple[str, str, str]]:
    """So many damages, evenly over kinds and files; of each, what was done, the verdict and what was said.

    Before them come the galleries as they are, which must be whole.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    cases = [
        (gallery, path.relative_to(gallery), kind)
        for gallery in galleries
        for path in sorted(gallery.rglob("*"))
        for kind in DAMAGES
        if path.is_file() and path.name != "lock" and path.stat().st_size
    ]
    told = []
    for gallery in galleries:
        copy(gallery, work)
        verdict, words = await judge(work)
        told.append((f"{gallery.name}: undamaged", WHOLE if verdict == WHOLE else WRONG, words))
    for gallery, name, kind in rng.sample(cases, min(tries, len(cases))):
        copy(gallery, work)
        DAMAGES[kind](work / name, rng)
        verdict, words = await judge(work)
        told.append((f"{gallery.name}: {name} {kind}", verdict, words))
    return told


def main(argv: Sequence[str] | None = None) -> int:
    """Print each damage and a summary; 1 where anything was served that isn't whole."""
    parser = argparse.ArgumentParser(prog="gallery_damages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tries", type=int, default=353)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(_run(Path(folder), options.tries, options.seed))
    for case, verdict, words in told:
        print(f"{verdict:8} {case}: {words}")
    counts = Counter(verdict for _, verdict, _ in told)
    print(dict(counts))
    return int(counts[WRONG] > 0)


async def _run(folder: Path, tries: int, seed: int) -> list[tuple[str, str, str]]:
    galleries = []
    for name, closed, optimized in (("closed", True, True), ("killed", False, False), ("killed-indexed", False, True)):
        galleries.append(folder / name)
        await make(galleries[-1], closed=closed, optimized=optimized)
    return await attempt(galleries, folder / "copy", tries, seed)


if __name__ == "__main__":
    sys.exit(main())
