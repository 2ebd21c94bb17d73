"""What becomes of a face that is known already, whose time was up, or whose gallery goes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from service.errors import UnknownGallery
from service.gallery.enrollment import Candidate, Enrollment
from service.gallery.people import People
from service.gallery.registering import Registrar
from service.stores.store import Added, Store
from service.values import Box, Detection, Face, StoredFace
from tests.support.qualities import GOOD
from tests.support.stored_faces import START, embedding

DAY = timedelta(days=1)


def enrollment(**fields: object) -> Enrollment:
    """One and the same photo, with a remark."""
    detection = Detection(Box(0, 0, 9, 9), ((1.0, 1.0),) * 5, 0.99)
    candidate = Candidate(sha256="ab" * 32, picture="picture", faces=(Face(detection, embedding(1), GOOD),))
    made = Enrollment(candidate=candidate, nth=0, remark="Zoë", registered_at=START)
    return replace(made, **fields)  # type: ignore[arg-type]


class Desk:
    """A registrar of a gallery at a time of the test's choice."""

    def __init__(self, store: Store, require_gallery: Callable[[], Awaitable[None]] | None = None) -> None:
        self.now = START
        self.store = store
        self.outcomes: list[Added] = []
        self.registrar = Registrar(store, gallery="visitors", clock=lambda: self.now, require_gallery=require_gallery)

    async def register(self, **fields: object) -> StoredFace:
        [(face_id, outcome)] = await self.registrar.add([enrollment(gallery="visitors", **fields)])
        self.outcomes.append(outcome)
        return (await self.store.fetch([face_id], gallery="visitors"))[face_id]


@pytest.fixture
async def desk(store: Store) -> Desk:
    await store.create_gallery("visitors", START)
    return Desk(store)


async def test_a_known_face_takes_over_what_comes_again(desk: Desk) -> None:
    """Metadata and the end of its time; what doesn't come again stays, and so does all else."""
    first = await desk.register(metadata={"badge": 1}, expires_at=START + DAY)
    again = await desk.register(registered_at=START + DAY / 2)
    assert again == first
    assert desk.outcomes == [Added.NEW, Added.KNOWN]
    assert await desk.register(metadata={"door": 2}) == replace(first, metadata={"door": 2})
    later = START + 2 * DAY
    assert await desk.register(expires_at=later) == replace(first, metadata={"door": 2}, expires_at=later)
    assert await desk.store.count(gallery="visitors") == 1


async def test_another_face_of_a_group_photo_is_registered_too(desk: Desk) -> None:
    """With `faces=largest` first, say, and then the one that the settings mean: nobody is told as known who isn't."""
    largest = enrollment().candidate
    other = Face(Detection(Box(20, 0, 27, 7), ((22.0, 3.0),) * 5, 0.99), embedding(2), GOOD)
    front = replace(largest, faces=(other,))
    first, second = await desk.register(), await desk.register(candidate=front)
    assert (first.box, second.box) == (Box(0, 0, 9, 9), Box(20, 0, 27, 7))
    assert await desk.register() == first
    assert await desk.register(candidate=front) == second
    assert desk.outcomes == [Added.NEW, Added.NEW, Added.KNOWN, Added.KNOWN]
    found = (await desk.store.search(embedding(2), 1, gallery="visitors")).neighbours[0]
    assert (found.face_id, round(found.similarity, 4)) == (second.face_id, 1.0)


async def test_a_person_stays_renamed_who_is_registered_again_meanwhile(store: Store) -> None:
    """What comes again is written beside the remark that the face has by then."""
    changing = asyncio.Lock()
    registrar = Registrar(store, gallery="default", clock=lambda: START, changing=changing)
    people = People(store, gallery="default", clock=lambda: START, changing=changing)
    for number in range(8):
        remark, new = f"name {number}", f"new {number}"
        made = enrollment(remark=remark, gallery="default")
        [(face_id, _)] = await registrar.add([made])
        again = [replace(made, metadata={"number": each}) for each in range(3)]
        await asyncio.gather(*(registrar.add([each]) for each in again), people.rename(remark, new, merge=True))
        kept = await store.fetch([face_id], gallery="default")
        assert kept[face_id].remark == new


async def test_a_face_whose_time_is_up_is_registered_anew(desk: Desk) -> None:
    """Else it would be told as registered, and removed a moment later."""
    first = await desk.register(metadata={"badge": 1}, expires_at=START + DAY)
    desk.now = again_at = START + DAY
    again = await desk.register(registered_at=again_at)
    assert desk.outcomes == [Added.NEW, Added.NEW]
    assert again == replace(first, registered_at=again_at, metadata=None, expires_at=None)
    assert await desk.store.remove_expired(desk.now) == 0


async def test_a_gallery_that_goes_meanwhile_keeps_no_face(store: Store) -> None:
    """Whoever registers is told that it is gone, though the face was written already."""

    async def gone() -> None:
        assert await store.count(gallery="visitors") == 1
        raise UnknownGallery("It was removed a moment ago.")

    with pytest.raises(UnknownGallery):
        await Desk(store, gone).register()
    assert await store.count() == 0
