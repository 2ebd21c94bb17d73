"""What every store must hold to about galleries, people, changes and expiry; test_store_contract.py has the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from service.stores.people import PersonKey, person_key
from service.stores.store import Added, Store
from service.values import DEFAULT_GALLERY as HERE
from service.values import FaceChanges, GalleryEntry, Person
from tests.stores.conftest import MakeStore
from tests.support import qdrant
from tests.support.stored_faces import CONTRACT, START, embedding, face, fill, numbers

pytestmark = pytest.mark.slow

THERE = "Besucher – 访客"
"""Another gallery, with a name that is no ASCII."""

UNCHANGED = FaceChanges(remark="person 2", metadata=None, expires_at=None)


async def everyone(store: Store, limit: int, *, gallery: str = HERE, part: str | None = None) -> list[Person]:
    """All people of a gallery, page by page."""
    found: list[Person] = []
    after: PersonKey | None = None
    while True:
        people, after = await store.people(limit, gallery=gallery, after=after, part=part)
        assert len(people) <= limit
        found += people
        if after is None:
            return found


def in_order(remarks: set[str], gallery: str = HERE) -> list[str]:
    return sorted(remarks, key=lambda remark: person_key(remark, gallery=gallery))


@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
async def test_many_faces_are_removed_by_their_numbers(store: Store) -> None:
    """Page by page, all of a gallery or those of a device; numbers of other galleries and of nobody are left alone."""
    await fill(store, [face(n, gallery=THERE if n > 6 else HERE) for n in range(1, 10)])  # odd ones are of gate-n%3
    assert await store.ids(gallery=HERE, device_id=None, after=0, limit=4) == [1, 2, 3, 4]
    assert await store.ids(gallery=HERE, device_id=None, after=4, limit=4) == [5, 6]
    assert await store.ids(gallery=THERE, device_id="gate-0", after=0, limit=4) == [9]
    assert await store.ids(gallery=HERE, device_id="gate-9", after=0, limit=4) == []
    await store.remove_many([1, 2, 7, 99], gallery=HERE)
    await store.remove_many([1, 2, 7, 99], gallery=HERE)
    assert await numbers(store.scan(gallery=HERE)) == [3, 4, 5, 6]
    assert await numbers(store.scan(gallery=THERE)) == [7, 8, 9]


@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
class TestGalleries:
    """Apart from each other in every operation."""

    async def test_they_are_listed_by_name_after_the_default_one(self, store: Store, make_store: MakeStore) -> None:
        """With the time at which each was made, also by a later service; none is made twice."""
        assert await store.galleries() == [GalleryEntry(name=HERE, created_at=None)]
        made = {name: START + timedelta(microseconds=n) for n, name in enumerate(("zoo", THERE, "alpha"))}
        for name, at in made.items():
            assert await store.create_gallery(name, at) is True
            assert await store.create_gallery(name, START + timedelta(days=1)) is False
        assert await store.create_gallery(HERE, START) is False
        expected = [GalleryEntry(name=HERE, created_at=None)]
        expected += [GalleryEntry(name=name, created_at=made[name]) for name in sorted(made)]
        assert await store.galleries() == expected
        await store.close()
        later = make_store()
        try:
            await later.open()
            await later.bind(CONTRACT)
            assert await later.galleries() == expected
        finally:
            await later.close()

    async def test_no_question_is_answered_from_another_gallery(self, store: Store) -> None:
        """Faces that are nearer, older or of the same remark, but elsewhere, are not seen, nor found by number."""
        await store.create_gallery(THERE, START)
        there = face(1, gallery=THERE, remark="person 2", registered_at=START)
        await fill(store, [there, face(2)])
        for gallery, mine, other in ((HERE, face(2), 1), (THERE, there, 2)):
            nearest = await store.search(embedding(other), 5, gallery=gallery)
            assert (nearest.found, nearest.faces) == (1, {mine.face_id: mine})
            assert (await store.search(embedding(other), 5, gallery=gallery, remark="person 2")).found == 1
            assert [each async for each in store.scan(gallery=gallery)] == [mine]
            assert [each async for each in store.scan(gallery=gallery, remark="person 2")] == [mine]
            assert await numbers(store.scan(1, gallery=gallery)) == []
            assert await store.fetch([1, 2], gallery=gallery) == {mine.face_id: mine}
            assert list(await store.embeddings([1, 2], gallery=gallery)) == [mine.face_id]
            assert await store.count(gallery=gallery) == 1
            person = Person(remark="person 2", faces=1, face_id=mine.face_id)
            assert await store.person("person 2", gallery=gallery) == person
            assert await store.people(5, gallery=gallery) == ([person], None)
        assert await store.fetch([1, 2], gallery=None) == {1: there, 2: face(2)}
        assert sorted(await store.embeddings([1, 2], gallery=None)) == [1, 2]
        assert await store.count() == 2
        assert [each async for each, _ in store.scan_embedded()] == [there, face(2)]

    async def test_nothing_is_written_into_another_gallery(self, store: Store) -> None:
        """A number of another gallery is unknown, and its people are other people."""
        await store.create_gallery(THERE, START)
        there = face(1, gallery=THERE, remark="person 2")
        await fill(store, [there, face(2)])
        assert await store.remove(1, gallery=HERE) is False
        assert await store.change(1, UNCHANGED, gallery=HERE) is False
        assert await store.rename_person("person 2", "other", gallery=HERE) == 1
        assert await store.remove_person("person 2", gallery=HERE) == 0
        assert await store.remove_person("other", gallery=HERE) == 1
        assert await store.fetch([1, 2], gallery=None) == {1: there}
        assert await store.add(face(1, remark="person 2"), embedding(1)) is Added.TAKEN
        assert await store.remove(1, gallery=None) is True
        assert await store.count() == 0

    async def test_a_removed_gallery_never_comes_back(self, store: Store) -> None:
        """Its faces are gone for good, those of others stay; one of its name made later is empty."""
        await store.create_gallery(THERE, START)
        await fill(store, [face(n, gallery=THERE if n % 2 else HERE) for n in range(1, 41)])
        assert await store.remove_gallery(THERE) is True
        assert await store.remove_gallery(THERE) is False
        assert await store.remove_gallery("never made") is False
        assert [each.name for each in await store.galleries()] == [HERE]
        assert await store.count() == await store.count(gallery=HERE) == 20
        await store.add(face(99, gallery=THERE), embedding(99))  # of a registration that was under way
        assert await store.create_gallery(THERE, START) is True
        assert await store.count(gallery=THERE) == 0

    async def test_the_default_gallery_only_loses_its_faces(self, store: Store) -> None:
        """It is always there."""
        await store.create_gallery(THERE, START)
        await fill(store, [face(1), face(2, gallery=THERE)])
        assert await store.remove_gallery(HERE) is True
        assert [each.name for each in await store.galleries()] == [HERE, THERE]
        assert await numbers(store.scan(gallery=HERE)) == []
        assert await numbers(store.scan(gallery=THERE)) == [2]

    @pytest.mark.parametrize("bits", [31, 53])
    async def test_a_gallery_keeps_how_large_its_numbers_are(self, make_store: MakeStore, bits: int) -> None:
        """Whatever a later service would have for a new one."""
        for wanted in (bits, 84 - bits):
            store = make_store()
            await store.open()
            await store.bind(CONTRACT, face_id_bits=wanted)
            assert store.face_id_bits == bits
            await store.close()


@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
class TestChanges:
    """A face's own fields, and the end of its time."""

    async def test_a_face_is_changed_and_found_under_what_it_is_now(self, store: Store) -> None:
        """Remark, metadata and expiry as given; all else, the embedding too, as it was."""
        metadata = {"badge": 7, "nested": {"list": [1, None, "ü"]}, "empty": {}}
        changes = FaceChanges(remark="Zoë", metadata=metadata, expires_at=START + timedelta(microseconds=5))
        await fill(store, [face(1, metadata={"old": True}), face(2)])
        assert await store.change(1, changes, gallery=HERE) is True
        changed = face(1, remark="Zoë", metadata=metadata, expires_at=changes.expires_at)
        assert await store.fetch([1], gallery=HERE) == {1: changed}
        assert await numbers(store.scan(gallery=HERE, remark="Zoë")) == [1]
        assert await numbers(store.scan(gallery=HERE, remark="person 1")) == []
        assert (await everyone(store, 1, part="zOË"))[0].remark == "Zoë"
        assert np.abs((await store.embeddings([1], gallery=HERE))[1] - embedding(1)).max() < 1e-6
        assert await store.change(1, FaceChanges(remark="Zoë", metadata=None, expires_at=None), gallery=HERE)
        assert await store.fetch([1], gallery=HERE) == {1: face(1, remark="Zoë")}
        assert await store.change(99, changes, gallery=HERE) is False

    async def test_each_change_is_seen_by_who_compares(self, store: Store) -> None:
        """By a number that no other change has; a change that is brought along from another store keeps its own."""

        async def seen() -> list[int]:
            return [change async for _, _, change in store.scan_keys()]

        await fill(store, [face(1), face(2, remark="person 2")])
        assert await seen() == [0, 0]
        numbers = set()
        for _ in range(2):
            assert await store.change(1, UNCHANGED, gallery=HERE)
            numbers.add((await seen())[0])
        assert len(numbers - {0}) == 2
        assert await store.change(1, replace(UNCHANGED, change=4711), gallery=HERE)
        assert await seen() == [4711, 0]
        assert await store.rename_person("person 2", "Zoë", gallery=HERE) == 2
        assert 0 not in await seen()
        assert (await store.fetch([1], gallery=HERE))[1].change == (await seen())[0]

    async def test_half_a_surrogate_pair_is_no_remark(self, store: Store) -> None:
        """A face and a person keep the one that they have."""
        await fill(store, [face(1)])
        with pytest.raises(ValueError, match="surrogate"):
            await store.change(1, replace(UNCHANGED, remark="\ud800"), gallery=HERE)
        with pytest.raises(ValueError, match="surrogate"):
            await store.rename_person("person 1", "\ud800", gallery=HERE)
        assert await store.fetch([1], gallery=HERE) == {1: face(1)}

    async def test_faces_whose_time_is_up_are_forgotten(self, store: Store) -> None:
        """To the microsecond, in every gallery; those without an end stay for ever."""
        await store.create_gallery(THERE, START)
        ends = [None, *(START + timedelta(microseconds=n) for n in (1, 2, 3))]
        await fill(store, [face(n, gallery=THERE if n > 4 else HERE, expires_at=ends[n % 4]) for n in range(1, 9)])
        assert await store.remove_expired(START) == 0
        assert await store.remove_expired(START + timedelta(microseconds=2)) == 4
        assert await store.remove_expired(START + timedelta(microseconds=2)) == 0
        assert await numbers(store.scan(gallery=HERE)) == [3, 4]
        assert await numbers(store.scan(gallery=THERE)) == [7, 8]


@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
class TestPeople:
    """The faces of one remark."""

    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    async def test_pages_lose_and_double_nobody(self, store: Store, limit: int) -> None:
        """In the order of their keys, each with all of its faces, though many names begin alike."""
        remarks = [f"employee-{n // 3}" if n % 2 else f"{chr(65 + n % 26)}{n // 9}" for n in range(150)]
        faces = [face(n, remark=remark) for n, remark in enumerate(["", " ", "ß", "张三", "😀" * 300, *remarks], 1)]
        await fill(store, faces)
        people = await everyone(store, limit)
        assert [each.remark for each in people] == in_order({each.remark for each in faces})
        for each in people:
            theirs = [one.face_id for one in faces if one.remark == each.remark]
            assert each.faces == len(theirs)
            assert each.face_id in theirs
            assert (await store.person(each.remark, gallery=HERE)) is not None

    async def test_many_faces_of_one_person_are_one_person(self, store: Store) -> None:
        """However small the page."""
        await store.add_many([(face(n, remark="a" if n < 300 else f"b{n}"), embedding(n)) for n in range(1, 303)])
        assert [(each.remark, each.faces) for each in await everyone(store, 1)] == [
            ("a", 299),
            *((remark, 1) for remark in in_order({"b300", "b301", "b302"})),
        ]
        person = await store.person("a", gallery=HERE)
        assert person is not None
        assert person.faces == 299

    async def test_a_part_of_a_name_is_found_in_any_case(self, store: Store) -> None:
        """Anywhere in it, whatever the characters; what has no such part is not shown."""
        remarks = ["Zoë Müller", "zoË MÜLLER 2", "Straße", "STRASSE", "a*b", "100 %", "ﬁn"]
        await fill(store, [face(n, remark=remark) for n, remark in enumerate(remarks, 1)])
        for part, found in {
            "müll": {"Zoë Müller", "zoË MÜLLER 2"},
            "strasse": {"Straße", "STRASSE"},
            "*": {"a*b"},
            "%": {"100 %"},
            " ": {"Zoë Müller", "zoË MÜLLER 2", "100 %"},
            "FIN": {"ﬁn"},
            "nobody": set(),
            "": set(remarks),
        }.items():
            for limit in (1, 10):
                assert [each.remark for each in await everyone(store, limit, part=part)] == in_order(found)

    async def test_a_person_is_renamed_whole(self, store: Store) -> None:
        """Every face, also into a remark that is in use; nobody of the old name is left."""
        await fill(store, [face(n, remark=["a", "b", "c"][n % 3]) for n in range(1, 31)])
        assert await store.rename_person("a", "b", gallery=HERE) == 10
        assert await store.rename_person("a", "b", gallery=HERE) == 0
        assert await store.rename_person("c", "c", gallery=HERE) == 10
        assert await store.person("a", gallery=HERE) is None
        assert [(each.remark, each.faces) for each in await everyone(store, 5)] == [("b", 20), ("c", 10)]
        assert await store.add(face(3, remark="b"), embedding(3)) is Added.KNOWN

    async def test_a_person_is_removed_whole(self, store: Store) -> None:
        """Every face, and no other's."""
        await fill(store, [face(n, remark=["a", "A", "a "][n % 3]) for n in range(1, 31)])
        assert await store.remove_person("a", gallery=HERE) == 10
        assert await store.remove_person("a", gallery=HERE) == 0
        assert {each.remark: each.faces for each in await everyone(store, 5)} == {"A": 10, "a ": 10}

    async def test_people_while_faces_come_and_go(self, store: Store) -> None:
        """Everybody who stays is seen, once."""
        await fill(store, [face(n, remark=f"same-{n:02}") for n in range(1, 61)])
        seen: list[str] = []
        after: PersonKey | None = None
        while True:
            people, after = await store.people(7, gallery=HERE, after=after)
            seen += [each.remark for each in people]
            if after is None:
                break
            gone = people[-1]
            await asyncio.gather(
                store.remove_person(gone.remark, gallery=HERE), store.add(face(100 + len(seen)), embedding(1))
            )
        assert len(seen) == len(set(seen))
        assert {f"same-{n:02}" for n in range(1, 61)} <= set(seen)
