"""What it costs to have photos decoded in another process, against decoding them in the service's own.

Run alone as `python -m scripts.bench.decoding --sets lfw_mini photos`. One engine takes every photo in turns of whole
blocks: decoded here without a look at it, as the service does it, and with every photo decoded elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.bench.photos import FACES, PhotoSet, photo_sets
from service.commands.markdown import table
from service.errors import FaceServiceError
from service.models import selection
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import Engine, open_engine
from service.vision.preparation import Preparation

SAMPLE = 60
REST_S = 1.0
"""As in timing.py: thread pools spin for a while after their last work."""


class _Here(Preparation):
    """Every photo decoded by a thread of the service, whatever it is."""

    def _is_ordinary(self, photo: bytes) -> bool:
        return bool(photo)


class _Elsewhere(Preparation):
    """Looked at as always, then decoded in another process."""

    def _is_ordinary(self, photo: bytes) -> bool:
        super()._is_ordinary(photo)
        return False


WAYS: Mapping[str, type[Preparation]] = {
    "in its own process, unchecked": _Here,
    "as the service does it": Preparation,
    "every photo in another process": _Elsewhere,
}


def decoding_section(settings: Settings, sets: Sequence[PhotoSet], rounds: int) -> str:
    """The report's section, in Markdown; the first of WAYS is what the others are compared with."""
    return asyncio.run(_section(settings, sets, rounds))


async def _section(settings: Settings, sets: Sequence[PhotoSet], rounds: int) -> str:
    engine = await open_engine(settings, selection.prepare(settings, kept=None))
    await engine.warm()
    rows = []
    for photos in sets:
        contents = [path.read_bytes() for path in photos.paths]
        measured = await _in_blocks(engine, contents, rounds)
        first, *_ = measured.values()
        rows += [[photos.name, name, *_cells(times, first)] for name, times in measured.items()]
    await engine.close()
    head = ["photos", "decoded", "decoding alone", "", "whole recognition", "", "median of the blocks' pairs"]
    return "\n".join([
        "## Decoding in other processes",
        "",
        f"One photo after another, {rounds} blocks each in turns, on one engine that embeds the largest face; means",
        "over the photos, each with the least time of its blocks.",
        "",
        table(head, rows),
    ])  # fmt: skip


async def _in_blocks(engine: Engine, contents: Sequence[bytes], rounds: int) -> dict[str, dict[str, list[list[float]]]]:
    """By way and stage: milliseconds of each photo, for each block."""
    blocks: dict[str, dict[str, list[list[float]]]] = {name: defaultdict(list) for name in WAYS}
    limits = engine._workers.preparation.limits  # noqa: SLF001 - the one place where an engine is taken apart
    detector = engine._workers.preparation.detector  # noqa: SLF001
    for turn in range(-1, rounds):  # the first compiles what these photos need
        for name, way in WAYS.items():
            engine._workers.preparation = way(detector, limits)  # noqa: SLF001
            await asyncio.sleep(REST_S)
            times = [await _recognise(engine, each) for each in contents]
            if turn >= 0:
                blocks[name]["decode"].append([decode for decode, _ in times])
                blocks[name]["total"].append([total for _, total in times])
    return blocks


async def _recognise(engine: Engine, photo: bytes) -> tuple[float, float]:
    """Milliseconds of its decoding and of all; a photo without a usable face is searched all the same."""
    timings, began = Timings(), time.perf_counter()
    try:
        await engine.observe(photo, lambda found, _: found[:1], timings)
    except FaceServiceError as error:
        print(f"refused: {error}", file=sys.stderr)
    return timings["decode"], (time.perf_counter() - began) * 1000


def _cells(times: Mapping[str, list[list[float]]], first: Mapping[str, list[list[float]]]) -> list[str]:
    cells = []
    for stage in ("decode", "total"):
        least, base = (np.min(each[stage], axis=0).mean() for each in (times, first))
        cells += [f"{least:.2f} ms", f"{least / base - 1:+.1%}"]
    pairs = [np.sum(mine) / np.sum(theirs) for mine, theirs in zip(times["total"], first["total"], strict=True)]
    return [*cells, f"{np.median(pairs) - 1:+.1%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["lfw_mini", "photos"], help="photo sets (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each way (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sets = [each for each in photo_sets(FACES, SAMPLE, Path(temporary)) if each.name in options.sets]
        print(decoding_section(Settings.from_env(os.environ), sets, options.rounds))


if __name__ == "__main__":
    main()
