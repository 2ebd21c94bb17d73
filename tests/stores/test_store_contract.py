"""What every store must hold to.

The shared store is tested three times: in Qdrant's local mode, over gRPC, and on the server at QDRANT_TEST_URL, if any.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from service.errors import ContractMismatch, StoreUnavailable
from service.stores.edge.store import EdgeStore
from service.stores.gathering import READ_AT_ONCE
from service.stores.listing import key_of
from service.stores.store import Added, Store
from service.values import DEFAULT_GALLERY as HERE
from service.values import Box
from tests.stores.conftest import MakeStore
from tests.support import qdrant
from tests.support.stored_faces import CONTRACT, START, embedding, face, fill, numbers

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)
class TestEveryStore:
    """The contract, without regard to what is behind it."""

    async def test_a_face_comes_back_as_it_was_added(self, store: Store) -> None:
        """Every field returns unchanged, from a search, fetched and from a scan."""
        for each in (face(1), face(2**53 - 1, registered_at=START + timedelta(microseconds=2))):
            assert await store.add(each, embedding(each.face_id)) is Added.NEW
            nearest = await store.search(embedding(each.face_id), 1, gallery=HERE)
            assert [(one.face_id, one.remark) for one in nearest.neighbours] == [(each.face_id, each.remark)]
            assert nearest.faces == {each.face_id: each}
            assert await store.fetch([each.face_id], gallery=HERE) == {each.face_id: each}
        assert [each async for each in store.scan(gallery=HERE)] == [
            face(1),
            face(2**53 - 1, registered_at=START + timedelta(microseconds=2)),
        ]

    async def test_the_same_photo_and_remark_are_known(self, store: Store) -> None:
        """Adding a face again succeeds and changes nothing, not even its time."""
        await fill(store, [face(1)])
        assert await store.add(face(1, registered_at=START), embedding(9)) is Added.KNOWN
        assert [each async for each in store.scan(gallery=HERE)] == [face(1)]
        assert (await store.search(embedding(1), 1, gallery=HERE)).neighbours[0].similarity == pytest.approx(1)

    async def test_another_face_of_the_same_photo_is_another_face(self, store: Store) -> None:
        """Of the same remark, too; but a box that other settings of the detector have moved a little is the same."""
        await fill(store, [face(1)])
        left, top, right, bottom = face(1).box
        width = right - left
        for shift, expected in ((0.0, Added.KNOWN), (0.1, Added.KNOWN), (0.5, Added.TAKEN), (1.5, Added.TAKEN)):
            moved = replace(face(1), box=Box(left + shift * width, top, right + shift * width, bottom))
            assert await store.add(moved, embedding(1)) is expected
            assert await store.add_many([(moved, embedding(1)), (face(1), embedding(1))]) == [expected, Added.KNOWN]
        assert await store.count() == 1

    async def test_a_number_in_use_is_taken(self, store: Store) -> None:
        """A face_id never changes hands."""
        await fill(store, [face(1)])
        assert await store.add(face(1, remark="somebody else"), embedding(2)) is Added.TAKEN
        assert await store.add(face(1, sha256="f" * 64), embedding(2)) is Added.TAKEN
        assert [each async for each in store.scan(gallery=HERE)] == [face(1)]

    async def test_many_are_added_in_one_go(self, store: Store) -> None:
        """Each gets the answer that it would have got alone, in the order given, also when a face comes twice."""
        await fill(store, [face(3), face(5)])
        batch = [face(n) for n in (9, 3, 1, 9, 5, 2**53 - 1, 1)]
        batch[4] = replace(batch[4], remark="somebody else")
        batch[6] = replace(batch[6], sha256="f" * 64)
        new, known, taken = Added.NEW, Added.KNOWN, Added.TAKEN
        assert await store.add_many([(each, embedding(each.face_id)) for each in batch]) == [
            *(new, known, new, known, taken, new, taken)
        ]
        assert await numbers(store.scan(gallery=HERE)) == [1, 3, 5, 9, 2**53 - 1]
        assert [nearest.face_id for nearest in (await store.search(embedding(9), 1, gallery=HERE)).neighbours] == [9]
        assert await store.add_many([]) == []

    async def test_a_large_batch_is_added_whole(self, store: Store) -> None:
        """256 faces with pictures are one call, and concurrent batches of the same faces add each once."""
        batch = [(face(n, picture="p" * 8000), embedding(n)) for n in range(1, 257)]
        outcomes = await asyncio.gather(*(store.add_many(batch) for _ in range(4)))
        for each in zip(*outcomes, strict=True):
            assert sorted(each, key=lambda one: one.value) == [Added.KNOWN] * 3 + [Added.NEW]
        assert await store.count() == 256

    async def test_a_batch_with_half_a_surrogate_pair_adds_nothing(self, store: Store) -> None:
        """So the caller knows what became of the others."""
        with pytest.raises(ValueError, match="surrogate"):
            await store.add_many([(face(1), embedding(1)), (face(2, remark="\ud800"), embedding(2))])
        assert await store.count() == 0

    async def test_faces_come_with_their_embeddings(self, store: Store) -> None:
        """Every face by its number, whatever its time, complete, with the vector that was added; from anywhere on."""
        faces = [face(n, registered_at=START - timedelta(seconds=n * 7 % 41)) for n in range(2, 502, 2)]
        await store.add_many([(each, embedding(each.face_id)) for each in faces])
        pairs = [pair async for pair in store.scan_embedded()]
        assert [each for each, _ in pairs] == faces
        for each, vector in pairs:
            assert vector.dtype == np.float32
            assert np.abs(vector - embedding(each.face_id)).max() < 1e-6
        for after in (1, 2, 3, 200, 201, 499, 500, 2**53 - 1):
            assert [each.face_id async for each, _ in store.scan_embedded(after)] == [
                each.face_id for each in faces if each.face_id > after
            ]

    async def test_keys_and_faces_are_for_comparing(self, store: Store) -> None:
        """By rising face_id, each with its time in microseconds; of the faces asked for, those that are there."""
        faces = [face(n) for n in (2**53 - 1, 7, 5)]
        await fill(store, [replace(each, registered_at=START) for each in faces[:1]])
        await fill(store, faces[1:])
        begin = int(START.timestamp()) * 1_000_000
        assert [key async for key in store.scan_keys()] == [(begin + 5, 5, 0), (begin + 7, 7, 0), (begin, 2**53 - 1, 0)]
        assert [key async for key in store.scan_keys(after=7)] == [(begin, 2**53 - 1, 0)]
        assert await store.fetch([5, 6, 7], gallery=HERE) == {5: face(5), 7: face(7)}
        assert await store.fetch([], gallery=HERE) == {}

    async def test_figures_count_faces_and_different_remarks(self, store: Store) -> None:
        """Exactly, removed ones no more; no index is claimed over more faces than there are."""
        await fill(store, [face(number, remark="same" if number > 1 else "other") for number in range(1, 5)])
        await store.remove(4, gallery=HERE)
        figures = await store.figures()
        assert (figures.faces, figures.remarks) == (3, 2)
        assert figures.indexed <= 3

    async def test_optimizing_changes_no_answer(self, store: Store) -> None:
        """It may be asked for at any time, and the faces are the same afterwards."""
        await store.optimize()
        await store.add_many([(face(n), embedding(n)) for n in range(1, 201)])
        before = (await store.search(embedding(7), 5, gallery=HERE)).neighbours
        await store.optimize()
        after = (await store.search(embedding(7), 5, gallery=HERE)).neighbours
        assert [nearest.face_id for nearest in after] == [nearest.face_id for nearest in before]
        assert await numbers(store.scan(gallery=HERE)) == list(range(1, 201))

    async def test_search_returns_cosines_best_first(self, store: Store) -> None:
        """The similarity is the dot product of the unit vectors, and the order and the cut follow it."""
        await fill(store, [face(number) for number in range(1, 51)])
        probe = embedding(7) + 0.2 * embedding(3)
        probe /= np.linalg.norm(probe)
        expected = sorted(((float(probe @ embedding(n)), n) for n in range(1, 51)), reverse=True)[:5]
        nearest = (await store.search(probe, 5, gallery=HERE)).neighbours
        assert [each.face_id for each in nearest] == [number for _, number in expected]
        assert [each.similarity for each in nearest] == pytest.approx([cosine for cosine, _ in expected], abs=1e-5)

    async def test_search_ranges_from_minus_one_to_one(self, store: Store) -> None:
        """Opposite vectors are found too, and rounding never leaves the range."""
        for number in range(1, 21):
            await store.add(face(number), embedding(number))
            assert 1 - 1e-5 <= (await store.search(embedding(number), 1, gallery=HERE)).neighbours[0].similarity <= 1
            assert (
                -1
                <= (await store.search(-embedding(number), number, gallery=HERE)).neighbours[-1].similarity
                <= -1 + 1e-5
            )

    async def test_search_returns_what_there_is(self, store: Store) -> None:
        """Fewer faces than asked for are fewer neighbours."""
        assert (await store.search(embedding(1), 5, gallery=HERE)).neighbours == []
        await fill(store, [face(1)])
        assert len((await store.search(embedding(1), 5, gallery=HERE)).neighbours) == 1
        assert (await store.search(embedding(1), 0, gallery=HERE)).neighbours == []

    async def test_search_reads_no_more_than_it_takes_to_see_some_people(self, store: Store) -> None:
        """However many photos each has; how many faces there are is told nevertheless."""
        await fill(store, [face(number, remark=f"person {number // 10}") for number in range(1, 41)])
        for people, faces in ((1, READ_AT_ONCE), (40, 40), (None, 40)):
            nearest = await store.search(embedding(1), 64, people=people, gallery=HERE)
            assert (len(nearest.neighbours), nearest.found) == (faces, 40)
            assert [one.face_id for one in nearest.neighbours] == list(nearest.faces)
        assert (await store.search(embedding(1), 25, people=5, gallery=HERE)).found == 25
        assert (
            len({one.remark for one in (await store.search(embedding(1), 40, people=5, gallery=HERE)).neighbours}) == 5
        )

    async def test_scan_is_oldest_first(self, store: Store) -> None:
        """The time of registration orders the list, not the number or the order of writing."""
        faces = [face(number, registered_at=START - timedelta(seconds=number * 7 % 41)) for number in range(1, 41)]
        await fill(store, faces)
        oldest_first = sorted(faces, key=lambda each: each.registered_at)
        assert await numbers(store.scan(gallery=HERE)) == [each.face_id for each in oldest_first]

    @pytest.mark.parametrize("tie", [1, 7, 251])
    async def test_scan_pages_lose_and_double_nothing(self, store: Store, tie: int) -> None:
        """Any offset and limit cut the same list, though many faces share one microsecond across pages."""
        await fill(store, [face(n, registered_at=START + timedelta(microseconds=n // tie)) for n in range(1, 251)])
        everything = await numbers(store.scan(gallery=HERE))
        assert everything == list(range(1, 251))
        for offset, limit in [
            (0, 0),
            (0, 1),
            (0, 100),
            (0, 101),
            (99, 2),
            (100, 100),
            (249, 5),
            (250, 5),
            (9999, None),
        ]:
            expected = everything[offset:] if limit is None else everything[offset : offset + limit]
            assert await numbers(store.scan(offset, limit, gallery=HERE)) == expected

    async def test_scan_goes_on_behind_any_key(self, store: Store) -> None:
        """Also of a face that is gone, and in the middle of a run of equal times."""
        faces = [face(n, registered_at=START + timedelta(microseconds=n // 10)) for n in range(1, 151)]
        await fill(store, faces)
        await store.remove(25, gallery=HERE)
        everything = [n for n in range(1, 151) if n != 25]
        for last in (1, 9, 10, 25, 99, 149, 150):
            after = key_of(last, faces[last - 1].registered_at)
            left = [n for n in everything if n > last]
            assert await numbers(store.scan(after=after, gallery=HERE)) == left
            assert await numbers(store.scan(1, 3, after=after, gallery=HERE)) == left[1:4]

    async def test_one_remark_is_scanned_and_searched_apart(self, store: Store) -> None:
        """To the letter, in the same order as the whole list, and exactly."""
        remarks = ["Zoë", "zoë", "Zoë ", "Zo"]
        faces = [
            face(n, remark=remarks[n % 4], registered_at=START + timedelta(microseconds=n // 10)) for n in range(1, 121)
        ]
        await fill(store, faces)
        for number, remark in enumerate(remarks):
            of_remark = [n for n in range(1, 121) if n % 4 == number]
            assert await numbers(store.scan(remark=remark, gallery=HERE)) == of_remark
            after = key_of(60, faces[59].registered_at)
            assert (
                await numbers(store.scan(0, 5, after=after, remark=remark, gallery=HERE))
                == [n for n in of_remark if n > 60][:5]
            )
            nearest = (await store.search(embedding(of_remark[7]), 3, remark=remark, gallery=HERE)).neighbours
            assert nearest[0].face_id == of_remark[7]
            assert {each.remark for each in nearest} == {remark}
        assert await numbers(store.scan(remark="nobody", gallery=HERE)) == []
        assert (await store.search(embedding(1), 3, remark="nobody", gallery=HERE)).neighbours == []

    async def test_embeddings_are_had_by_number(self, store: Store) -> None:
        """Those of the faces that are there."""
        await fill(store, [face(1), face(2)])
        vectors = await store.embeddings([2, 3], gallery=HERE)
        assert list(vectors) == [2]
        assert vectors[2].dtype == np.float32
        assert np.abs(vectors[2] - embedding(2)).max() < 1e-6
        assert await store.embeddings([], gallery=HERE) == {}

    async def test_scan_while_faces_come_and_go(self, store: Store) -> None:
        """A list under way shows every face that stays, once, and none twice."""
        await fill(store, [face(number) for number in range(1, 251)])
        seen = []
        async for each in store.scan(gallery=HERE):
            seen.append(each.face_id)
            if each.face_id in (10, 90, 150):
                await store.add(face(1000 + each.face_id), embedding(1))
                await store.add(face(2000 + each.face_id, registered_at=START), embedding(1))
                await store.remove(each.face_id, gallery=HERE)
                await store.remove(each.face_id - 1, gallery=HERE)
        assert seen == [*range(1, 251), 1010, 1090, 1150]

    async def test_a_removed_face_is_gone(self, store: Store) -> None:
        """No search, list or count shows it again, and a second removal says so."""
        await fill(store, [face(1), face(2)])
        assert await store.remove(1, gallery=HERE) is True
        assert await store.remove(1, gallery=HERE) is False
        assert await store.remove(99, gallery=HERE) is False
        assert [nearest.face_id for nearest in (await store.search(embedding(1), 5, gallery=HERE)).neighbours] == [2]
        assert await numbers(store.scan(gallery=HERE)) == [2]
        assert await store.count() == 1
        assert await store.add(face(1), embedding(1)) is Added.NEW

    async def test_two_hundred_at_once(self, store: Store) -> None:
        """Concurrent registrations all land, and the same face in all of them lands once."""
        await fill(store, [face(number) for number in range(1, 201)])
        again = await asyncio.gather(*(store.add(face(500), embedding(500)) for _ in range(200)))
        assert again.count(Added.NEW) == 1
        assert again.count(Added.KNOWN) == 199
        assert await store.count() == 201

    async def test_remarks_are_kept_to_the_letter(self, store: Store) -> None:
        """Any Unicode text returns as it came, neither normalised nor cut, and is recognised as the same."""
        remarks = ["", " ", "\x00", "a\x00b", "张三", "e\u0301", "\ufffe\uffff", "👩🏽‍🚀", '"\\\n\r\t', "𝔵" * 1024]
        remarks += ["".join(map(chr, range(plane, plane + 64))) for plane in range(0, 0x110000, 0x10000)]
        faces = [face(number, remark=remark) for number, remark in enumerate(remarks, 1)]
        await fill(store, faces)
        assert [each.remark async for each in store.scan(gallery=HERE)] == remarks
        assert {await store.add(each, embedding(1)) for each in faces} == {Added.KNOWN}

    async def test_half_a_surrogate_pair_is_refused(self, store: Store) -> None:
        """What is not a character can't be stored, says so, and disturbs nothing."""
        with pytest.raises(ValueError, match="surrogate"):
            await store.add(face(1, remark="\ud800"), embedding(1))
        assert await store.count() == 0

    async def test_reopening_keeps_everything(self, store: Store, make_store: MakeStore) -> None:
        """A later service finds the faces and the contract."""
        await fill(store, [face(number) for number in range(1, 151)])
        await store.remove(1, gallery=HERE)
        await store.close()
        later = make_store()
        try:
            assert await later.open() == CONTRACT
            await later.bind(CONTRACT)
            assert await numbers(later.scan(gallery=HERE)) == list(range(2, 151))
            assert (await later.search(embedding(9), 1, gallery=HERE)).neighbours[0].face_id == 9
            assert await later.fetch([9], gallery=HERE) == {9: face(9)}
        finally:
            await later.close()

    async def test_another_model_is_refused(self, store: Store) -> None:
        """Vectors of two models never mix, and the refusal names both and the ways out."""
        others: list[dict[str, object]] = [{"model": "casia-webface"}, {"digest": "f" * 64}, {"preprocessing": 2}]
        for changes in others:
            other = replace(CONTRACT, **changes)  # type: ignore[arg-type]
            with pytest.raises(ContractMismatch) as refusal:
                await store.bind(other)
            for word in (CONTRACT.model, other.model, other.digest[:12], "FACE_MODEL"):
                assert word in str(refusal.value)
            assert ("FACE_DATA" if isinstance(store, EdgeStore) else "FACE_QDRANT_COLLECTION") in str(refusal.value)
        await store.bind(CONTRACT)

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        """Closing twice is safe, and nothing hangs afterwards."""
        await store.close()
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.count()
