"""What importing adds to the engine: the indexer's faces a second, gallery, journal and report included, against the
bare engine's on the same photos, in turns.

Run alone as `python -m scripts.bench.indexing [--photos N] [FOLDER]`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import io
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from indexer.commands import index
from indexer.importing.local_engine import in_flight
from indexer.importing.outcomes import Outcome
from indexer.importing.photo_files import Photo, find_photos
from indexer.importing.pipeline import Pipeline
from indexer.importing.report import Report
from indexer.importing.targets import open_target
from indexer.progress import Progress
from scripts.bench.photos import FACES
from service.errors import FaceServiceError
from service.gallery.choices import one_face
from service.models import selection
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import open_engine

TURNS = 10
"""Parts of the photos that engine and indexer take in turns."""

Run = Callable[[Sequence[Photo]], Awaitable[int]]
"""Work on photos; how many faces came of it."""


async def indexing_section(settings: Settings, folder: Path, limit: int | None = None) -> str:
    """A report section in Markdown; of the folder's photos `limit` at most."""
    photos = [item for item in find_photos(folder, "folder")() if isinstance(item, Photo)][:limit]
    with tempfile.TemporaryDirectory() as place:
        settings = dataclasses.replace(settings, data=Path(place))
        parser = argparse.ArgumentParser()
        index.arguments(parser)
        async with open_target(settings, parser.parse_args([str(folder)])) as opened:
            with Report(Path(place) / "report.jsonl") as report, Progress(None, "", stream=io.StringIO()) as progress:
                pipeline = Pipeline(opened.target, opened.journal, report, progress)

                async def indexer(part: Sequence[Photo]) -> int:
                    before = report.counts[Outcome.REGISTERED]
                    await pipeline.run(iter(part))
                    return report.counts[Outcome.REGISTERED] - before

                bare, indexed = await _in_turns(settings, photos, indexer)
    return "\n".join(
        [
            *(f"## Importing {len(photos)} photos", "", "| | |", "| --- | --- |"),
            f"| bare engine | {bare:.1f} faces/s |",
            f"| indexer, files into the embedded gallery | {indexed:.1f} faces/s |",
            f"| indexer against the bare engine | {indexed / bare:.0%} |",
        ]
    )


async def _in_turns(settings: Settings, photos: Sequence[Photo], indexer: Run) -> tuple[float, float]:
    """Faces a second of the bare engine and of the indexer; who begins changes from turn to turn."""
    files = selection.prepare(settings, kept=None)
    engine = await open_engine(settings, files)
    await engine.warm()
    callers = in_flight(model_threads(settings))

    async def bare(part: Sequence[Photo]) -> int:
        contents = iter([photo.path.read_bytes() for photo in part])
        faces = 0

        async def caller() -> None:
            nonlocal faces
            for content in contents:
                try:
                    seen = await engine.observe(content, one_face(settings), Timings())
                except FaceServiceError:
                    continue
                faces += len(seen.faces)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return faces

    runs: list[Run] = [bare, indexer]
    faces, seconds = [0, 0], [0.0, 0.0]
    for turn in range(TURNS):
        part = photos[turn::TURNS]
        for which in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            faces[which] += await runs[which](part)
            seconds[which] += time.perf_counter() - began
    await engine.close()
    return faces[0] / seconds[0], faces[1] / seconds[1]


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=FACES / "lfw_dev" / "images")
    options.add_argument("--photos", type=int, help="of the folder's photos so many at most")
    chosen = options.parse_args()
    print(asyncio.run(indexing_section(Settings.from_env(os.environ), chosen.folder, chosen.photos)))
