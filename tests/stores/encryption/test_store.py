"""Encrypted galleries answer as those in clear do, and what keeps them has nothing in clear."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.errors import UnreadableFace, WrongEncryptionKey
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.stores.encryption.cipher import GalleryCipher
from service.stores.encryption.store import EncryptedStore
from service.stores.opening import open_store
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added, Store
from service.values import FaceChanges, Person
from tests.support import qdrant
from tests.support.qdrant import LOCAL_MODE_WARNINGS
from tests.support.stored_faces import CONTRACT, embedding, face, numbers

CIPHER, OTHER = GalleryCipher(bytes(32)), GalleryCipher(bytes([1] * 32))
PICTURE = base64.b64encode(b"\xff\xd8\xff a picture that nobody else has").decode()

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)


@pytest.fixture(params=["edge", "qdrant"])
async def make_kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[str | None], Store]]:
    """Makes stores for a key check, which all keep the same gallery."""
    if request.param == "edge":
        yield lambda key_check: EdgeStore(tmp_path / "gallery", key_check=key_check)
        return
    async with qdrant.local_mode() as (connect, name):
        yield lambda key_check: QdrantStore(connect, name, collection_settings=CollectionSettings(key_check=key_check))


@pytest.fixture
async def kept(make_kept: Callable[[str | None], Store]) -> AsyncIterator[Store]:
    """What lies below, opened and bound for CIPHER's key."""
    made = make_kept(CIPHER.key_check)
    assert await made.open() is None
    await made.bind(CONTRACT)
    yield made
    await made.close()


async def test_it_answers_as_one_in_clear(kept: Store) -> None:
    """Every question that has a remark in it or in its answer."""
    store = EncryptedStore(kept, CIPHER)
    ann, ann2, bob = face(1, remark="Ann"), face(2, remark="Ann", metadata={"a": 1}), face(3, remark="Bob Ångström")
    assert await store.add_many([(each, embedding(each.face_id)) for each in (ann, ann2, bob)]) == [Added.NEW] * 3
    assert await store.add(ann, embedding(1)) is Added.KNOWN
    assert await store.add(replace(bob, face_id=1), embedding(3)) is Added.TAKEN
    assert await store.fetch([1, 2, 3], gallery=None) == {1: ann, 2: ann2, 3: bob}
    assert [each async for each in store.scan(gallery="default", remark="Ann")] == [ann, ann2]
    assert [each async for each, _ in store.scan_embedded()] == [ann, ann2, bob]
    found = await store.search(embedding(3), 2, gallery="default")
    assert (found.neighbours[0].remark, found.faces[3]) == ("Bob Ångström", bob)
    found = await store.search(embedding(3), 5, gallery="default", remark="Ann")
    assert {each.face_id for each in found.neighbours} == {1, 2}
    assert await store.person("Ann", gallery="default") == Person(remark="Ann", faces=2, face_id=1)
    assert await store.person("Bob", gallery="default") is None
    changes = FaceChanges(remark="Cy", metadata={"b": 2}, expires_at=None)
    assert await store.change(3, changes, gallery="default")
    assert (await store.fetch([3], gallery="default"))[3] == replace(bob, remark="Cy", metadata={"b": 2})
    assert await store.rename_person("Ann", "Anna", gallery="default") == 2
    await store.mark_seen([("default", "Cy")], datetime(2026, 2, 1, tzinfo=UTC))
    later = datetime(2026, 3, 1, tzinfo=UTC)
    assert await store.remove_unseen(later - timedelta(days=1), later) == 1
    assert await numbers(store.scan(gallery="default")) == [1, 2]
    assert await store.remove_person("Anna", gallery="default") == 2


async def test_everybody_is_listed_once_and_found_by_a_part(kept: Store) -> None:
    """However small the pages, in one order, whatever the case."""
    store = EncryptedStore(kept, CIPHER)
    await store.add_many([(face(n, remark=f"Person {n % 25}"), embedding(n)) for n in range(1, 51)])
    for part, count in ((None, 25), ("", 25), ("pERSON 1", 11), ("24", 1), ("nobody", 0)):
        for limit in (1, 4, 100):
            found: list[Person] = []
            after = None
            while True:
                page, after = await store.people(limit, gallery="default", after=after, part=part)
                assert len(page) <= limit
                found += page
                if after is None:
                    break
            assert len({each.remark for each in found}) == len(found) == count
            assert all(each.faces == 2 for each in found)


async def test_a_face_that_was_altered_stops_no_list(kept: Store, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out and the log names it; who asks for it, or moves all faces, is told; it can be removed."""
    store = EncryptedStore(kept, CIPHER)
    await store.add(face(1), embedding(1))
    await store.add(face(3), embedding(3))
    await kept.add(face(2, gallery="default"), embedding(2))  # in clear, as only who gets at the disk could write it
    with caplog.at_level(logging.ERROR):
        assert await numbers(store.scan(gallery="default")) == [1, 3]
        assert await numbers(store.scan(limit=2, gallery="default")) == [1, 3]
        assert await numbers(store.scan(1, 1, gallery="default")) == [3]
        assert [each.face_id for each in (await store.search(embedding(1), 5, gallery="default")).neighbours] == [1, 3]
        assert {each.remark for each in (await store.people(5, gallery="default"))[0]} == {"person 1", "person 3"}
    assert "Face 2 was altered" in caplog.text
    assert "person 2" not in caplog.text
    with pytest.raises(UnreadableFace, match="Face 2"):
        await store.fetch([1, 2], gallery="default")
    with pytest.raises(UnreadableFace, match="Face 2"):
        assert [each async for each in store.scan_embedded()]
    assert await store.remove(2, gallery="default")
    assert await store.fetch([1, 2, 3], gallery="default") == {1: face(1), 3: face(3)}


async def test_another_key_or_none_is_refused(kept: Store, make_kept: Callable[[str | None], Store]) -> None:
    """At once, and the gallery stays as it was."""
    await EncryptedStore(kept, CIPHER).add(face(1), embedding(1))
    await kept.close()
    for check, words in ((OTHER.key_check, "another key"), (None, "FACE_ENCRYPTION_KEY_FILE")):
        store = make_kept(check)
        with pytest.raises(WrongEncryptionKey, match=words):
            await store.open()
        await store.close()
    store = EncryptedStore(make_kept(CIPHER.key_check), CIPHER)
    assert await store.open() == CONTRACT
    await store.bind(CONTRACT)
    assert await store.fetch([1], gallery=None) == {1: face(1)}
    await store.close()


async def test_a_gallery_in_clear_takes_no_key(make_kept: Callable[[str | None], Store]) -> None:
    """So that none is half in clear."""
    store = make_kept(None)
    await store.open()
    await store.bind(CONTRACT)
    await store.close()
    store = make_kept(CIPHER.key_check)
    with pytest.raises(WrongEncryptionKey, match="indexer encrypt"):
        await store.open()
    await store.close()


async def test_the_folder_has_nothing_in_clear(tmp_path: Path) -> None:
    """Neither its shard nor its log of writes nor what lies beside them; without a key they have."""
    known = face(1, remark="Ann-Sophie Nobody", picture=PICTURE, metadata={"staff": "A-17-4711"})
    for key, in_clear in ((None, True), ("ab" * 32, False)):
        settings = Settings(data=tmp_path / str(key), encryption_key=key)
        store = open_store(settings)
        await store.open()
        await store.bind(CONTRACT)
        await store.add(known, embedding(1))
        await store.close()
        files = [each for each in settings.data.rglob("*") if each.is_file()]
        for secret in (known.remark, known.remark.casefold(), PICTURE, "A-17-4711", known.sha256):
            assert any(secret.encode() in each.read_bytes() for each in files) is in_clear
