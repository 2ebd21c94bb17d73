"""All faces of a remark are one person; tests/stores has how a store finds them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from service.errors import RemarkInUse, UnknownPerson
from service.gallery.people import People
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, Person
from tests.support.stored_faces import START, face, fill


@pytest.fixture
async def people(store: Store) -> People:
    """Zoë has two faces, Ann one."""
    await fill(store, [face(1, remark="Zoë"), face(2, remark="Ann"), face(3, remark="Zoë")])
    return People(store, gallery=DEFAULT_GALLERY)


async def faces_of(people: People) -> dict[str, int]:
    found, last = await people.page(100, after=None, part=None)
    assert last is None
    return {each.remark: each.faces for each in found}


async def test_a_person_is_all_faces_of_a_remark(people: People) -> None:
    """Of exactly that remark."""
    zoe = await people.person("Zoë")
    assert (zoe.remark, zoe.faces) == ("Zoë", 2)
    assert zoe.face_id in {1, 3}
    for other in ("zoë", "Zoe", "Zo", "", "张三"):
        with pytest.raises(UnknownPerson):
            await people.person(other)


async def test_a_renamed_person_keeps_the_faces(people: People) -> None:
    """And nobody has the old remark any more."""
    renamed = await people.rename("Zoë", "Zoë Smith", merge=False)
    assert (renamed.remark, renamed.faces) == ("Zoë Smith", 2)
    assert await faces_of(people) == {"Ann": 1, "Zoë Smith": 2}
    with pytest.raises(UnknownPerson):
        await people.rename("Zoë", "x", merge=False)


async def test_two_become_one_only_where_that_is_asked_for(people: People) -> None:
    """Else it would be a mistake that can't be undone."""
    with pytest.raises(RemarkInUse):
        await people.rename("Zoë", "Ann", merge=False)
    assert await faces_of(people) == {"Ann": 1, "Zoë": 2}
    assert (await people.rename("Zoë", "Ann", merge=True)).faces == 3
    assert await faces_of(people) == {"Ann": 3}


async def test_the_same_remark_again_changes_nothing(people: People) -> None:
    for merge in (False, True):
        assert (await people.rename("Zoë", "Zoë", merge=merge)).faces == 2
    with pytest.raises(UnknownPerson):
        await people.rename("nobody", "nobody", merge=True)


async def test_of_two_who_want_one_remark_at_the_same_moment_one_gets_it(people: People) -> None:
    answers = await asyncio.gather(
        *(people.rename(remark, "one", merge=False) for remark in ("Zoë", "Ann")), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in answers) == [Person.__name__, RemarkInUse.__name__]


async def test_a_removed_person_is_gone(people: People) -> None:
    """With all faces, and nobody else's."""
    assert await people.remove("Zoë") == 2
    assert await faces_of(people) == {"Ann": 1}
    with pytest.raises(UnknownPerson):
        await people.remove("Zoë")


@pytest.fixture
async def visitors(store: Store) -> People:
    """A minute after the start, when Ann's time is up, and that of one of Zoë's two faces."""
    soon, later = START + timedelta(seconds=30), START + timedelta(seconds=90)
    faces = [face(1, remark="Ann", expires_at=soon), face(2, remark="Zoë", expires_at=soon)]
    await fill(store, [*faces, face(3, remark="Zoë", expires_at=later), face(4, remark="Bob")])
    return People(store, gallery=DEFAULT_GALLERY, clock=lambda: START + timedelta(seconds=60))


async def test_who_has_no_time_left_is_nobody(visitors: People) -> None:
    """Neither shown nor renamed nor removed, though the faces may still be on the disk."""
    for asked in (visitors.person("Ann"), visitors.rename("Ann", "x", merge=False), visitors.remove("Ann")):
        with pytest.raises(UnknownPerson):
            await asked
    zoe = await visitors.person("Zoë")
    assert (zoe.faces, zoe.face_id) == (1, 3)


async def test_who_has_no_time_left_is_not_listed(visitors: People) -> None:
    """Nor are faces counted whose time is up."""
    assert await faces_of(visitors) == {"Bob": 1, "Zoë": 1}


async def test_a_remark_is_free_once_its_time_is_up(visitors: People) -> None:
    """For somebody else, without a merge."""
    assert (await visitors.rename("Bob", "Ann", merge=False)).faces == 1
