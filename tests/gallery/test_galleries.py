"""Galleries are made and removed, and faces of one are nobody's in another."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import InvalidRequest, UnknownGallery
from service.gallery.galleries import Galleries
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.store import Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY
from service.vision.engine import Engine
from tests.support.stored_faces import START


@pytest.fixture
def galleries(engine: Engine, store: Store, files: ModelFiles) -> Galleries:
    return Galleries(engine, store, Settings(), files.contract.model, lambda: START)


async def test_a_gallery_is_there_from_its_making_to_its_removal(galleries: Galleries) -> None:
    """It can be made again then, and is empty."""
    with pytest.raises(UnknownGallery):
        await galleries.of("visitors")
    assert await galleries.create("visitors")
    assert not await galleries.create("visitors")
    assert (await galleries.of("visitors")).name == "visitors"
    assert (await galleries.entry("visitors")).created_at == START
    assert [each.name for each in await galleries.list()] == [DEFAULT_GALLERY, "visitors"]
    await galleries.remove("visitors")
    for asked in (galleries.of("visitors"), galleries.entry("visitors"), galleries.remove("visitors")):
        with pytest.raises(UnknownGallery):
            await asked
    assert await galleries.create("visitors")
    assert await (await galleries.of("visitors")).count() == 0


async def test_the_default_one_is_always_there(galleries: Galleries) -> None:
    with pytest.raises(InvalidRequest, match="always there"):
        await galleries.remove(DEFAULT_GALLERY)
    assert not await galleries.create(DEFAULT_GALLERY)
    assert (await galleries.entry(DEFAULT_GALLERY)).created_at is None


@pytest.mark.slow
async def test_what_one_gallery_knows_another_does_not(galleries: Galleries, portraits: dict[str, bytes]) -> None:
    """Nor is a face of the same photo and remark the same face."""
    numbers = []
    for name in ("visitors", "staff"):
        await galleries.create(name)
        numbers.append(await (await galleries.of(name)).enroll(portraits["obama"], "Obama", Timings()))
    assert numbers[0] != numbers[1]
    visitors, default = await galleries.of("visitors"), await galleries.of(DEFAULT_GALLERY)
    assert [each.face.face_id for each in await visitors.identify(portraits["obama2"], 5, Timings())] == numbers[:1]
    assert await default.identify(portraits["obama2"], 5, Timings()) == []


@pytest.mark.slow
async def test_no_face_stays_in_a_gallery_that_was_removed_meanwhile(
    galleries: Galleries, store: Store, portraits: dict[str, bytes]
) -> None:
    """Whenever that is: a registration that was answered as done was there before, and went with the gallery."""
    for pause_s in (0.0, 0.02, 0.05, 0.1, 0.2):
        await galleries.create("visitors")
        gallery = await galleries.of("visitors")
        registering = [
            asyncio.create_task(gallery.enroll(portraits[name], f"{name} {nth}", Timings()))
            for name in ("obama", "biden")
            for nth in range(3)
        ]
        await asyncio.sleep(pause_s)
        await galleries.remove("visitors")
        answers = await asyncio.gather(*registering, return_exceptions=True)
        assert all(isinstance(each, int | UnknownGallery) for each in answers), answers
        assert await store.count() == 0
