"""Writing faces into the store: numbers that are taken, crowds, and a store that is away."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.importing.failures import CannotGoOn
from indexer.importing.gallery_writer import GalleryWriter
from indexer.importing.outcomes import Outcome
from service.errors import StoreUnavailable
from service.gallery.duplicates import duplicate_check
from service.gallery.enrollment import Candidate, Enrollment, derive_face_id
from service.retry import Backoff
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY, Box, Detection, Embedding, Face, ModelContract, StoredFace
from tests.support.qualities import GOOD

CONTRACT = ModelContract(model="vggface2", digest="0" * 64, preprocessing=1, dimension=512)


class ShakyStore(EdgeStore):
    """A real store whose next answers are lost."""

    lost = 0

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        if self.lost:
            self.lost -= 1
            raise StoreUnavailable("The gallery is away.")
        return await super().add_many(faces)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ShakyStore]:
    store = ShakyStore(tmp_path / "gallery")
    await store.open()
    await store.bind(CONTRACT)
    yield store
    await store.close()


@pytest.fixture
def writer(store: ShakyStore) -> GalleryWriter:
    return GalleryWriter(store, lambda: datetime.now(UTC), away_limit_s=0.2)


def candidate(photo: bytes, faces: int = 1) -> Candidate:
    """As an engine would see so many faces in these bytes."""
    detection = Detection(Box(0, 0, 50, 50), ((0.0, 0.0),) * 5, 0.99)
    vectors = np.random.default_rng(len(photo)).normal(size=(faces, 512)).astype(np.float32)
    seen = tuple(Face(detection, each / np.float32(np.linalg.norm(each)), GOOD) for each in vectors)
    return Candidate(sha256=hashlib.sha256(photo).hexdigest(), picture="picture", faces=seen)


def stored(candidate: Candidate, remark: str) -> StoredFace:
    """Its first face, as a store keeps it."""
    enrollment = Enrollment(candidate=candidate, nth=0, remark=remark, registered_at=datetime.now(UTC))
    return enrollment.stored(attempt=0, face_id_bits=31)


async def test_a_photo_is_registered_once_under_the_number_of_the_api(store: ShakyStore, writer: GalleryWriter) -> None:
    """So an import after a registration through the service, or the other way round, adds nothing."""
    one = candidate(b"one")
    face_id = derive_face_id(one.sha256, remark="Ann", bits=31)
    assert await writer.write([(one, "Ann"), (one, "Ann")]) == [
        [(Outcome.REGISTERED, face_id)],
        [(Outcome.KNOWN, face_id)],
    ]
    assert (writer.added, await store.count()) == (1, 1)


async def test_all_faces_of_a_crowd_have_numbers_of_their_own(store: ShakyStore, writer: GalleryWriter) -> None:
    """The first that of a registration; more of them than fit in one call, and the same ones the second time."""
    crowd = candidate(b"crowd", faces=300)
    (written,) = await writer.write([(crowd, "")])
    assert written[0][1] == derive_face_id(crowd.sha256, remark="", bits=31)
    assert len({face_id for _, face_id in written}) == await store.count() == 300
    assert [face_id for _, face_id in (await writer.write([(crowd, "")]))[0]] == [face_id for _, face_id in written]
    assert await store.count() == 300


async def test_a_number_that_is_taken_gives_the_next(store: ShakyStore, writer: GalleryWriter) -> None:
    """Another face sits on the number of the first; the faces around it keep theirs."""
    one, two = candidate(b"one"), candidate(b"two")
    squatter = replace(stored(two, "squatter"), face_id=derive_face_id(one.sha256, remark="Ann", bits=31))
    await store.add(squatter, two.faces[0].embedding)
    assert await writer.write([(one, "Ann"), (two, "Bob")]) == [
        [(Outcome.REGISTERED, derive_face_id(one.sha256, remark="Ann", attempt=1, bits=31))],
        [(Outcome.REGISTERED, derive_face_id(two.sha256, remark="Bob", bits=31))],
    ]


@pytest.mark.slow
async def test_a_store_that_comes_back_has_lost_nothing(
    store: ShakyStore, writer: GalleryWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """And a line says what is waited for."""
    backoff = Backoff(first_s=1.0, longest_s=1.0)
    store.lost = 2
    with caplog.at_level(logging.WARNING):
        await asyncio.wait_for(
            GalleryWriter(store, lambda: datetime.now(UTC), backoff=backoff).write([(candidate(b"one"), "Ann")]), 10
        )
    assert await store.count() == 1
    assert caplog.text.count("The gallery can't be reached, trying again for 300 s") == 1


async def test_a_store_that_stays_away_ends_the_import(store: ShakyStore, writer: GalleryWriter) -> None:
    """After the time that it may be away, with a sentence that says how to go on."""
    store.lost = 1000
    with pytest.raises(CannotGoOn, match="the same command goes on from here"):
        await writer.write([(candidate(b"one"), "Ann")])


async def test_a_face_of_another_remark_is_left_out_where_that_is_refused(store: ShakyStore) -> None:
    """Whether it was there before or comes in the same group; the same remark and other people get in."""
    check = duplicate_check(Settings(duplicate="refuse", threshold=0.5), CONTRACT.model, store, DEFAULT_GALLERY)
    writer = GalleryWriter(store, lambda: datetime.now(UTC), duplicate_check=check)
    ann, copy_of_ann, bob = candidate(b"one"), candidate(b"two"), candidate(b"three")
    assert copy_of_ann.faces[0].embedding @ ann.faces[0].embedding > 0.99  # made of as many bytes
    written = await writer.write([(ann, "Ann"), (copy_of_ann, "Eve"), (copy_of_ann, "Ann"), (bob, "Bob")])
    assert [[outcome for outcome, _ in faces] for faces in written] == [
        *([Outcome.REGISTERED], [Outcome.OTHER_REMARK], [Outcome.REGISTERED], [Outcome.REGISTERED])
    ]
    assert [[outcome for outcome, _ in faces] for faces in await writer.write([(ann, "Ann"), (bob, "Eve")])] == [
        *([Outcome.KNOWN], [Outcome.OTHER_REMARK])
    ]
    assert writer.added == await store.count() == 3
