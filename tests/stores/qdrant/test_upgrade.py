"""A collection that an older version of this service made, and that knows neither galleries nor people."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from qdrant_client import models

from service.stores.contracts import to_mapping
from service.stores.payload import to_payload
from service.stores.qdrant import aliases, collection, upgrade
from service.stores.qdrant.link import QdrantLink
from service.stores.qdrant.points import ADDITION
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY as HERE
from service.values import StoredFace
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, embedding, face, numbers

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

FORMER_FIELDS = ("remark", "picture", "box", "landmarks", "detection_score", "sha256", "registered_at", "device_id")

REAL = collection.real_name("faces", CONTRACT)

FACES = 60


def face_of(number: int) -> StoredFace:
    return face(number, remark=f"Person {number // 3}")


async def add_as_before(link: QdrantLink, *face_ids: int) -> None:
    """As a service of the first version adds faces."""
    points = []
    for number in face_ids:
        payload = to_payload(face_of(number))
        former = {**{field: payload[field] for field in FORMER_FIELDS}, ADDITION: f"{number:032x}"}
        points.append(models.PointStruct(id=number, vector=embedding(number).tolist(), payload=former))
    await link.call(lambda client: client.upsert(REAL, points, wait=True))


async def make_former(link: QdrantLink, payload_m: int = 0) -> None:
    """A collection as the first version made it."""
    vectors = models.VectorParams(size=CONTRACT.dimension, distance=models.Distance.COSINE)
    hnsw = models.HnswConfigDiff(ef_construct=200, payload_m=payload_m)
    metadata = {collection.MODEL: to_mapping(CONTRACT)}
    await link.call(
        lambda client: client.create_collection(REAL, vectors, hnsw_config=hnsw, metadata=metadata),
    )
    keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, memory=models.Memory.CACHED)
    time = models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, memory=models.Memory.CACHED)
    for field in ("remark", "sha256", "device_id"):
        await link.call(lambda client, field=field: client.create_payload_index(REAL, field, keyword))  # type: ignore[misc]
    await link.call(lambda client: client.create_payload_index(REAL, "registered_at", time))
    await add_as_before(link, *range(1, FACES + 1))
    await aliases.give_name(link, "faces", REAL)


async def info(link: QdrantLink) -> models.CollectionInfo:
    return await link.call(lambda client: client.get_collection(REAL))


async def check(store: QdrantStore, server: Qdrant, link: QdrantLink) -> None:
    """All faces are in the default gallery, found in every way, with their former numbers."""
    assert store.face_id_bits == 53
    assert [each async for each in store.scan(gallery=HERE)] == [face_of(n) for n in range(1, FACES + 1)]
    assert await store.count(gallery=HERE) == FACES
    assert (await store.search(embedding(7), 1, gallery=HERE)).neighbours[0].face_id == 7
    people, after = await store.people(FACES, gallery=HERE)
    assert {each.remark: each.faces for each in people} == {f"Person {n}": 3 for n in range(1, 20)} | {
        "Person 0": 2,
        "Person 20": 1,
    }
    assert after is None
    assert await store.add(face_of(7), embedding(7)) is Added.KNOWN
    metadata = (await info(link)).config.metadata or {}
    assert metadata == {
        collection.MODEL: to_mapping(CONTRACT),
        collection.LAYOUT: 2,
        collection.FACE_ID_BITS: 53,
        collection.OPENED: True,
    }
    fields = [field for field, params in server.indexes[REAL].items() if params.enable_hnsw is not False]
    assert fields == ["gallery"]


class TestUpgrade:
    """At the first start of this version."""

    async def test_it_is_brought_up_to_date_as_it_is_opened(
        self, server: Qdrant, link: QdrantLink, opened: Any
    ) -> None:
        """Without an export: its faces, its indexes, and last the links of its search index."""
        await make_former(link)
        await check(await opened(server.connect), server, link)
        hnsw = (await info(link)).config.hnsw_config
        assert (hnsw.m, hnsw.payload_m, hnsw.ef_construct) == (0, 16, 200)

    async def test_it_is_done_once(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """A later start asks for faces of older versions, and does nothing where there are none."""
        await make_former(link)
        await opened(server.connect)
        server.calls.clear()
        await opened(server.connect)
        assert server.calls["Scroll"] == 1
        assert not set(server.calls) & {"UpdateBatch", "SetPayload", "CreateFieldIndex", "Update", "Upsert"}

    async def test_links_that_an_operator_chose_stay(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """Who has links inside fields already made them on purpose."""
        await make_former(link, payload_m=8)
        await check(await opened(server.connect), server, link)
        hnsw = (await info(link)).config.hnsw_config
        assert (hnsw.m, hnsw.payload_m) == (16, 8)

    @pytest.mark.slow
    @pytest.mark.parametrize("requests", [0, 1, 2, 4, 7, 8, 13, 16, 17, 18])
    async def test_cut_off_it_goes_on_at_the_next_start(
        self, server: Qdrant, link: QdrantLink, opened: Any, monkeypatch: pytest.MonkeyPatch, requests: int
    ) -> None:
        """After any number of its requests."""
        await make_former(link)
        monkeypatch.setattr(upgrade, "FACES_AT_ONCE", 25)
        with monkeypatch.context() as patch:
            call, begin = QdrantLink.call, upgrade.bring_up_to_date
            left = [requests]

            async def cut_off(*arguments: Any) -> Any:
                if not left[0]:
                    raise InterruptedError
                left[0] -= 1
                return await call(*arguments)

            async def begin_and_be_cut_off(*arguments: Any) -> None:
                patch.setattr(QdrantLink, "call", cut_off)
                await begin(*arguments)

            patch.setattr(upgrade, "bring_up_to_date", begin_and_be_cut_off)
            with pytest.raises(InterruptedError):
                await opened(server.connect)
        assert collection.LAYOUT not in ((await info(link)).config.metadata or {})
        await check(await opened(server.connect), server, link)
        assert (await info(link)).config.hnsw_config.payload_m == 16

    async def test_two_services_do_it_at_once(
        self, server: Qdrant, link: QdrantLink, opened: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Side by side, each face once or twice."""
        await make_former(link)
        monkeypatch.setattr(upgrade, "FACES_AT_ONCE", 7)
        for store in await asyncio.gather(*(opened(server.connect) for _ in range(2))):
            await check(store, server, link)

    async def test_what_is_changed_meanwhile_stays_changed(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """By a service that was done earlier, while another one has read the faces and not written them yet."""
        await make_former(link)

        async def be_quicker() -> None:
            other = await opened(server.connect)
            assert await other.rename_person("Person 2", "Zoë", gallery=HERE) == 3

        server.meanwhile["UpdateBatch"] = be_quicker
        store = await opened(server.connect)
        assert await numbers(store.scan(gallery=HERE, remark="Zoë")) == [6, 7, 8]
        people, _ = await store.people(FACES, gallery=HERE, part="zoë")
        assert [(each.remark, each.faces) for each in people] == [("Zoë", 3)]
        assert await store.person("Person 2", gallery=HERE) is None


class TestOlderPeers:
    """A service of an older version that still runs on an up-to-date collection."""

    async def test_what_it_adds_comes_along_at_the_next_start(
        self, server: Qdrant, link: QdrantLink, opened: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Of any service of this version; the log says that there is one to be updated."""
        await make_former(link)
        store = await opened(server.connect)
        assert not [each for each in caplog.records if each.levelname == "WARNING"]
        await add_as_before(link, 97, 98)
        assert await store.count(gallery=HERE) == FACES
        await opened(server.connect)
        assert await store.count(gallery=HERE) == FACES + 2
        assert await numbers(store.scan(gallery=HERE, remark="Person 32")) == [97, 98]
        assert "2 faces of a service of an older version were brought up to date" in caplog.text

    async def test_what_it_added_is_known(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """Its number is its own, though its gallery isn't written yet."""
        await make_former(link)
        store = await opened(server.connect)
        await add_as_before(link, 97)
        assert await store.add(face_of(97), embedding(97)) is Added.KNOWN
        assert await store.add(face(97, gallery="elsewhere", remark="Person 32"), embedding(97)) is Added.TAKEN
        assert await store.remove(97, gallery="elsewhere") is False
