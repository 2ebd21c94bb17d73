"""Looks at photos with an engine, by the rule for which of their faces are enrolled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from indexer.pipeline import Look
from service.engine import open_engine
from service.gallery import Candidate, every, largest, observe, single
from service.models import ModelFiles
from service.settings import Settings
from service.stages import Stages

FACES = {"largest": largest, "single": single, "all": every}
"""Which faces of a photo are enrolled."""

MAX_QUEUE = 100_000
"""The photos in flight bound what waits; a limit of faces would only refuse pictures of crowds."""


@asynccontextmanager
async def local_look(settings: Settings, files: ModelFiles, faces: str) -> AsyncIterator[Look]:
    """A pipeline's Look with an engine in this process; `faces` is a name of FACES."""
    engine = await open_engine(replace(settings, max_queue=MAX_QUEUE), files)
    choose = FACES[faces](settings.min_score)

    async def look(content: bytes, _: str) -> Candidate:
        return await observe(engine, content, choose, settings.picture_side, Stages())

    try:
        await engine.warm()
        yield look
    finally:
        await engine.close()
