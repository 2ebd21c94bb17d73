"""How long an embedded gallery takes to open after a stop, and after SIGKILL while it was written to.

Run alone as `python -m scripts.bench.reopening [FACES ...]`.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from scripts.bench.edge import CONTRACT, PICTURE_BYTES, SIZES, stored_face
from scripts.bench.environments import BENCH
from scripts.bench.filling import fill
from service.commands.markdown import table
from service.errors import StoreUnavailable
from service.stores.edge.store import EdgeStore

KILLS = 2
WRITING_S = 3.0
"""For how long faces are registered, one after another, before the gallery's process is killed."""


def reopening_section(sizes: Sequence[int] = SIZES) -> str:
    """The report's section, in Markdown; 100,000 faces take minutes, most of them for making the gallery."""
    rows = [asyncio.run(_measure(size)) for size in sizes]
    return "\n".join([
        "## Opening a gallery",
        "",
        "From starting the gallery's process until it answers, its files in the page cache; after a kill every face is",
        "compared with the ledger.",
        "",
        table(["faces", "after a stop", "after SIGKILL while it was written to", "a face"], rows),
    ])  # fmt: skip


async def _measure(faces: int) -> list[str]:
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as temporary:  # on a disk; /tmp may be memory
        folder = Path(temporary) / "gallery"
        await fill(EdgeStore(folder), CONTRACT, faces, base64.b64encode(bytes(PICTURE_BYTES)).decode())
        stopped_s, store = await _opened(folder)
        await store.close()
        killed_s, known = [], faces
        for _ in range(KILLS):
            known = await _killed(folder, known)
            took_s, store = await _opened(folder)
            killed_s.append(took_s)
            assert await store.count() >= known  # noqa: S101 - what was answered is there
            await store.close()
    told = " and ".join(f"{each:.2f} s" for each in killed_s)
    return [f"{faces:,}", f"{stopped_s:.2f} s", told, f"{min(killed_s) / faces * 1e3:.3f} ms"]


async def _opened(folder: Path) -> tuple[float, EdgeStore]:
    """Seconds, and the store that is open and bound."""
    began = time.perf_counter()
    store = EdgeStore(folder)
    await store.open()
    await store.bind(CONTRACT)
    return time.perf_counter() - began, store


async def _killed(folder: Path, known: int) -> int:
    """Register faces one after another until the process is killed; how many are answered for by then."""
    _, store = await _opened(folder)
    random = np.random.default_rng(known)

    async def write() -> None:
        nonlocal known
        with suppress(StoreUnavailable):
            while True:
                vector = random.standard_normal(CONTRACT.dimension, np.float32)
                await store.add(stored_face(known + 1, "picture"), vector / np.linalg.norm(vector))
                known += 1

    writing = asyncio.create_task(write())
    await asyncio.sleep(WRITING_S)
    await store.kill()
    await writing
    return known


if __name__ == "__main__":
    print(reopening_section([int(each) for each in sys.argv[1:]] or SIZES))
