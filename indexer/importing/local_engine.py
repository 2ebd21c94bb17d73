"""Observes photos with an engine in this process, by the rule for which of their faces are enrolled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from indexer.importing.pipeline import Observe
from service.gallery.choices import every, largest, one_face, single
from service.gallery.enrollment import Candidate, observe_candidate
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import open_engine
from service.vision.preparation import Choice

FACES: dict[str, Callable[[Settings], Choice]] = {
    "one": one_face,
    "largest": lambda settings: largest(settings.min_score),
    "single": lambda settings: single(settings.min_score),
    "all": lambda settings: every(settings.min_score),
}
"""Which faces of a photo are enrolled."""

IN_EMBEDDER = 16
"""Photos whose crops are embedded, or wait to be in the next batch."""

MAX_QUEUE = 100_000
"""The photos in flight bound what waits; a limit of faces would only refuse pictures of crowds."""


def in_flight(threads: int) -> int:
    """How many photos keep an engine of so many threads busy: each works on one while the next is read."""
    return IN_EMBEDDER + 2 * threads


@asynccontextmanager
async def local_engine(settings: Settings, files: ModelFiles, faces: str) -> AsyncIterator[tuple[Observe, int]]:
    """A pipeline's Observe with an engine in this process, and for how many photos at once; `faces` is of FACES."""
    engine = await open_engine(
        replace(settings, max_queue=MAX_QUEUE), files, decoding_processes=model_threads(settings)
    )
    choose = FACES[faces](settings)

    async def observe(content: bytes, _: str) -> Candidate:
        return await observe_candidate(
            engine, content, choose, Timings(), picture_side=settings.picture_side, quality=settings.quality
        )

    try:
        await engine.warm()
        yield observe, in_flight(engine.workers)
    finally:
        await engine.close()
