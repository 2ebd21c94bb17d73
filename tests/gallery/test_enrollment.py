"""Under which number a face is kept: one that follows from its photo and remark, or the next that is free."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from service.errors import StoreUnavailable
from service.gallery.enrollment import MAX_ATTEMPTS, Candidate, Enrollment, add_under_free_ids, derive_face_id
from service.gallery.registering import Registrar
from service.stores.edge.store import EdgeStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY, Box, Detection, Embedding, Face, StoredFace
from tests.support.qualities import GOOD
from tests.support.stored_faces import CONTRACT, START, embedding

KNOWN = 2_175_172_091_928_275
"""The number of the photo b"photo" with the remark "test"."""


def test_a_face_id_is_a_function_of_photo_remark_and_attempt() -> None:
    """The same today and after any restart; numbers that galleries hold must not change with the code."""
    digest = hashlib.sha256(b"photo").hexdigest()
    assert (
        derive_face_id(digest, remark="test", bits=53)
        == derive_face_id(digest, remark="test", attempt=0, bits=53)
        == KNOWN
    )
    others = {
        derive_face_id(digest, remark="test", attempt=1, bits=53),
        derive_face_id(digest, remark="test ", bits=53),
        derive_face_id(digest, remark="", bits=53),
        derive_face_id(hashlib.sha256(b"another").hexdigest(), remark="test", bits=53),
    }
    assert len(others | {KNOWN}) == 5


def test_a_remark_cannot_imitate_an_attempt() -> None:
    """Whatever separators a remark holds, it is not another registration's text."""
    digest = "0" * 64
    assert derive_face_id(digest, remark="\n1\nx", bits=53) != derive_face_id(digest, remark="x", attempt=1, bits=53)
    assert derive_face_id(digest, remark="1\nx", attempt=1, bits=53) != derive_face_id(
        digest, remark="x", attempt=11, bits=53
    )


def test_further_faces_of_a_photo_have_numbers_of_their_own() -> None:
    """The first has the one that it always had."""
    digest = hashlib.sha256(b"photo").hexdigest()
    assert derive_face_id(digest, remark="test", attempt=0, nth=0, bits=53) == KNOWN
    attempts = product(range(3), range(3))
    numbers = {derive_face_id(digest, remark="test", attempt=attempt, nth=nth, bits=53) for attempt, nth in attempts}
    assert len(numbers) == 9


def test_a_face_id_is_from_one_to_two_to_the_53rd_less_one() -> None:
    """All of that range, evenly: of 10,000 numbers none is twice, and their mean is the middle."""
    numbers = [
        derive_face_id(f"{number:064x}", remark="😀\ud800" if number % 2 else "", bits=53) for number in range(10_000)
    ]
    assert len(set(numbers)) == 10_000
    assert min(numbers) >= 1
    assert max(numbers) < 2**53
    assert np.mean(numbers) / 2**53 == pytest.approx(0.5, abs=0.02)


async def test_only_faces_whose_number_is_taken_are_added_again() -> None:
    """Each under its own next number, and the answers are in the order of the faces."""
    detection = Detection(Box(0, 0, 9, 9), ((0.0, 0.0),) * 5, 0.99)
    face = Face(detection, np.zeros(512, np.float32), GOOD)
    candidate = Candidate(sha256="0" * 64, picture="", faces=(face,) * 3)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    enrollments = [Enrollment(candidate=candidate, nth=nth, remark="test", registered_at=at) for nth in range(3)]
    numbers = [[each.stored(attempt=attempt, face_id_bits=53).face_id for attempt in range(3)] for each in enrollments]
    taken, known = {numbers[0][0], numbers[0][1], numbers[2][0]}, {numbers[1][0]}
    asked = []

    async def add_many(faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        asked.append([stored.face_id for stored, _ in faces])
        return [
            Added.TAKEN if number in taken else Added.KNOWN if number in known else Added.NEW for number in asked[-1]
        ]

    added = await add_under_free_ids(enrollments, add_many, face_id_bits=53)
    assert added == [(numbers[0][2], Added.NEW), (numbers[1][0], Added.KNOWN), (numbers[2][1], Added.NEW)]
    assert asked == [[each[0] for each in numbers], [numbers[0][1], numbers[2][1]], [numbers[0][2]]]


async def test_no_faces_ask_for_nothing() -> None:
    """The store is left alone."""

    async def add_many(faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        raise AssertionError(f"asked for {len(faces)} faces")

    assert await add_under_free_ids([], add_many, face_id_bits=53) == []


def photo_of(number: int) -> Enrollment:
    """A photo of its own for each number, all under one remark."""
    face = Face(Detection(Box(0, 0, 9, 9), ((0.0, 0.0),) * 5, 0.99), embedding(number), GOOD)
    candidate = Candidate(sha256=f"{number:064x}", picture="", faces=(face,))
    return Enrollment(candidate=candidate, nth=0, remark="test", registered_at=START)


async def test_a_space_of_numbers_fills_to_the_last_one_and_then_says_so(tmp_path: Path) -> None:
    """Of 4 bits there are 15 numbers: each face gets one, meets itself again, and the 16th face is refused."""
    store = EdgeStore(tmp_path)
    await store.open()
    await store.bind(CONTRACT, face_id_bits=4)
    registrar = Registrar(store, gallery=DEFAULT_GALLERY, clock=lambda: START)
    try:
        first = await asyncio.gather(*(registrar.add([photo_of(number)]) for number in range(15)))
        assert sorted(face_id for [(face_id, _)] in first) == [*range(1, 16)]
        again = await asyncio.gather(*(registrar.add([photo_of(number)]) for number in range(15)))
        assert again == [[(face_id, Added.KNOWN)] for [(face_id, _)] in first]
        with pytest.raises(StoreUnavailable, match="no free numbers of 4 bits"):
            await registrar.add([photo_of(15)])
        assert await store.count() == 15
        await store.remove(7, gallery=DEFAULT_GALLERY)
        assert await registrar.add([photo_of(15)]) == [(7, Added.NEW)]
    finally:
        await store.close()


async def test_a_store_where_every_number_is_taken_is_not_asked_for_ever() -> None:
    """But MAX_ATTEMPTS times."""
    asked = 0

    async def add_many(faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        nonlocal asked
        asked += 1
        return [Added.TAKEN] * len(faces)

    with pytest.raises(StoreUnavailable):
        await add_under_free_ids([photo_of(1), photo_of(2)], add_many, face_id_bits=31)
    assert asked == MAX_ATTEMPTS
