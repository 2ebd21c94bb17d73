"""An import's photos are prepared in several processes, and those of a process that dies in another one."""

from __future__ import annotations

import asyncio
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from indexer.importing.engine_processes import engine_processes
from service.errors import FaceNotFound, InvalidImage
from service.models.selection import ModelFiles
from service.settings import Settings
from service.timings import Timings
from service.vision.engine import open_engine
from tests.support.device import jpeg

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With two processes that prepare photos."""
    return replace(settings, threads=2, precision="f32")


async def test_photos_become_the_candidates_of_an_engine(
    settings: Settings, files: ModelFiles, portraits: dict[str, bytes]
) -> None:
    """And what is wrong with a photo is said as by an engine."""
    empty = jpeg(Image.new("RGB", (200, 200), "white"))
    async with engine_processes(settings, files.weights, "largest", device="cpu") as (observe, in_flight):
        assert in_flight >= 4
        candidates = await asyncio.gather(*(observe(photo, "a remark") for photo in portraits.values()))
        with pytest.raises(FaceNotFound):
            await observe(empty, "nobody")
        with pytest.raises(InvalidImage):
            await observe(portraits["obama"][:200], "half a photo")
    engine = await open_engine(settings, files)
    for photo, candidate in zip(portraits.values(), candidates, strict=True):
        expected = await engine.observe(photo, lambda found, _: found[:1], Timings(), picture_side=480)
        [face], [known] = candidate.faces, expected.faces
        np.testing.assert_allclose(face.detection.box, known.detection.box, atol=0.01)
        assert float(face.embedding @ known.embedding) > 0.999
        assert candidate.picture == expected.picture
    await engine.close()


async def test_a_process_that_is_killed_is_done_without(
    settings: Settings, files: ModelFiles, portraits: dict[str, bytes]
) -> None:
    async with engine_processes(settings, files.weights, "largest", device="cpu") as (observe, _):
        await observe(portraits["obama"], "obama")
        victim, _ = multiprocessing.active_children()
        under_way = [asyncio.ensure_future(observe(photo, "")) for photo in portraits.values()]
        await asyncio.sleep(0.05)
        victim.kill()
        assert all(candidate.faces for candidate in await asyncio.gather(*under_way))
