"""What the shared store does beyond every store's contract: its collection, its peers, and a server that is away."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode
from qdrant_client import models

from service.errors import ContractMismatch, StoreUnavailable
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.qdrant import collection
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.link import QdrantLink, connector
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added
from tests.stores.test_stores import CONTRACT, embedding, face, numbers
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant, Wire

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

OTHER = replace(CONTRACT, model="casia-webface", digest="f" * 64)
KEY = "the-key-to-the-faces"


@pytest.fixture
async def server() -> AsyncIterator[Qdrant]:
    """A running Qdrant, without a collection."""
    made = Qdrant(api_key=KEY)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Awaitable[QdrantStore]]]:
    """Opens and binds stores, and closes them at the end."""
    stores: list[QdrantStore] = []

    async def open_one(connect: Any, contract: Any = CONTRACT, **options: Any) -> QdrantStore:
        store = QdrantStore(connect, "faces", **options)
        stores.append(store)
        await store.open()
        await store.bind(contract)
        return store

    yield open_one
    for store in stores:
        await store.close()


@pytest.fixture
async def link(server: Qdrant) -> AsyncIterator[QdrantLink]:
    """A connection of the test's own."""
    made = QdrantLink(server.connect, 5)
    made.open()
    yield made
    await made.close()


async def make_by_hand(link: QdrantLink, size: int = 512, distance: models.Distance = models.Distance.COSINE) -> None:
    """A collection `faces`, as an operator could have made it."""
    vectors = models.VectorParams(size=size, distance=distance)
    await link.call(lambda client: client.create_collection("faces", vectors))


async def fails(attempt: Awaitable[object], match: str = ".") -> float:
    """Expect StoreUnavailable; the seconds until then."""
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=match):
        await attempt
    return time.monotonic() - begin


async def recovers(store: QdrantStore, within_s: float) -> None:
    begin = time.monotonic()
    while True:
        try:
            await store.count()
        except StoreUnavailable:
            assert time.monotonic() - begin < within_s
            await asyncio.sleep(0.05)
        else:
            return


class TestCollection:
    """How the gallery lies in Qdrant."""

    async def test_what_a_new_one_is_made_with(self, server: Qdrant, opened: Any) -> None:
        """Embeddings at hand, pictures on disk, no links for filters that nobody uses, and the contract in it."""
        await opened(server.connect)
        made = server.last["Create"]
        assert made.vectors_config.params.size == 512
        assert made.vectors_config.params.memory == models_memory("Cached")
        assert made.payload.memory == models_memory("Cold")
        assert made.hnsw_config.payload_m == 0
        assert made.metadata["model_contract"].struct_value.fields["model"].string_value == "vggface2"
        assert not made.HasField("quantization_config")
        assert not made.HasField("shard_number")
        assert server.calls["CreateFieldIndex"] >= 4

    async def test_the_layout_is_the_operators(self, server: Qdrant, opened: Any) -> None:
        """Shards, copies and int8; with int8 the exact embeddings move to disk."""
        await opened(server.connect, layout=CollectionSettings(shards=6, replicas=2, write_consistency=2, int8=True))
        made = server.last["Create"]
        assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (6, 2, 2)
        assert made.quantization_config.scalar.memory == models_memory("Pinned")
        assert made.vectors_config.params.memory == models_memory("Cold")

    async def test_the_name_is_an_alias(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """So that another collection can take its place."""
        await opened(server.connect)
        found = await collection.find(link, "faces")
        assert found is not None
        assert found.name == collection.real_name("faces", CONTRACT) != "faces"

    async def test_a_service_keeps_to_its_model_while_another_is_put_in_place(
        self, server: Qdrant, link: QdrantLink, opened: Any
    ) -> None:
        """Vectors of two models never meet: the one that runs stays where it is, the next one goes to the new."""
        store = await opened(server.connect)
        await store.add(face(1), embedding(1))
        await collection.make(link, "faces", OTHER, CollectionSettings())
        assert await numbers(store.scan()) == [1]
        with pytest.raises(ContractMismatch):
            await opened(server.connect)
        after = await opened(server.connect, OTHER)
        await after.add(face(2), embedding(2))
        assert await numbers(store.scan()) == [1]
        assert await numbers(after.scan()) == [2]

    async def test_a_collection_of_that_name_is_taken_as_it_is(
        self, server: Qdrant, link: QdrantLink, opened: Any
    ) -> None:
        """Whoever wants other settings makes it first; it gets the contract and nothing else."""
        await make_by_hand(link)
        store = await opened(server.connect)
        await store.add(face(1), embedding(1))
        assert server.calls["Create"] == 1
        with pytest.raises(ContractMismatch):
            await opened(server.connect, OTHER)
        assert await numbers((await opened(server.connect)).scan()) == [1]

    @pytest.mark.parametrize("shape", [{"size": 128}, {"distance": models.Distance.DOT}])
    async def test_a_collection_of_another_shape_is_refused(
        self, server: Qdrant, link: QdrantLink, opened: Any, shape: dict[str, Any]
    ) -> None:
        await make_by_hand(link, **shape)
        with pytest.raises(StoreUnavailable, match="FACE_QDRANT_COLLECTION"):
            await opened(server.connect)

    async def test_somebody_elses_points_are_left_alone(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """Nobody knows which model they were made with."""
        await make_by_hand(link)
        point = models.PointStruct(id=1, vector=embedding(1).tolist(), payload={})
        await link.call(lambda client: client.upsert("faces", [point]))
        with pytest.raises(StoreUnavailable, match="not a gallery"):
            await opened(server.connect)

    async def test_metadata_that_make_no_sense_are_told(self, server: Qdrant, link: QdrantLink) -> None:
        await make_by_hand(link)
        await link.call(lambda client: client.update_collection("faces", metadata={"model_contract": {"model": 1}}))
        store = QdrantStore(server.connect, "faces")
        await fails(store.open(), "can't be read")
        await store.close()

    async def test_many_start_at_once(self, server: Qdrant, opened: Any) -> None:
        """Replicas that find no collection make one, together."""
        stores = await asyncio.gather(*(opened(server.connect) for _ in range(5)))
        for number, store in enumerate(stores, 1):
            assert await store.add(face(number), embedding(number)) is Added.NEW
        assert [await store.count() for store in stores] == [5] * 5

    async def test_a_start_that_was_cut_off_is_completed(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """A service killed between collection and alias leaves what the next one uses."""
        server.failures["UpdateAliases"] = [StatusCode.INTERNAL]
        with pytest.raises(StoreUnavailable):
            await opened(server.connect)
        await opened(server.connect)
        assert server.calls["Create"] == 1
        assert await collection.find(link, "faces") is not None

    async def test_a_collection_that_is_deleted_is_told(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        store = await opened(server.connect)
        real = collection.real_name("faces", CONTRACT)
        await server._local.delete_collection(real)
        await fails(store.count(), "restart the service")

    async def test_a_server_that_is_too_old_is_refused(self, server: Qdrant, opened: Any) -> None:
        """Before 1.17 it would overwrite faces instead of leaving them alone."""
        server.version = "1.16.3"
        with pytest.raises(StoreUnavailable, match=r"1\.16\.3 is too old; 1\.19"):
            await opened(server.connect)


class TestPeers:
    """Several services on one gallery."""

    async def test_two_register_the_same_photo_at_once(self, server: Qdrant, opened: Any) -> None:
        """One face, one of them made it, the other one is told that it is known."""
        one, two = await opened(server.connect), await opened(server.connect)
        for number in range(1, 31):
            outcomes = await asyncio.gather(*(each.add(face(number), embedding(number)) for each in (one, two)))
            assert set(outcomes) == {Added.NEW, Added.KNOWN}
        assert await one.count() == 30

    async def test_two_want_the_same_number_for_different_photos(self, server: Qdrant, opened: Any) -> None:
        """One gets it, the other is told that it is taken, and nothing is overwritten."""
        one, two = await opened(server.connect), await opened(server.connect)
        for number in range(1, 31):
            mine, yours = face(number), face(number, remark="somebody else")
            outcomes = await asyncio.gather(one.add(mine, embedding(1)), two.add(yours, embedding(2)))
            assert set(outcomes) == {Added.NEW, Added.TAKEN}
            winner = mine if outcomes[0] is Added.NEW else yours
            assert [each async for each in one.scan(number - 1)] == [winner]

    async def test_two_import_the_same_faces_at_once(self, server: Qdrant, opened: Any) -> None:
        """Each face counts as new for exactly one of them."""
        one, two = await opened(server.connect), await opened(server.connect)
        batch = [(face(n), embedding(n)) for n in range(1, 101)]
        first, second = await asyncio.gather(one.add_many(batch), two.add_many(batch))
        assert all({mine, yours} == {Added.NEW, Added.KNOWN} for mine, yours in zip(first, second, strict=True))


class TestRequests:
    """What is sent, how often, and how much of it."""

    @pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.ABORTED, StatusCode.RESOURCE_EXHAUSTED])
    async def test_what_may_pass_is_tried_again(self, server: Qdrant, opened: Any, code: StatusCode) -> None:
        store = await opened(server.connect)
        for method in ("Upsert", "Get", "Scroll", "Query", "Count", "Delete"):
            server.failures[method] = [code, code]
        assert await store.add(face(1), embedding(1)) is Added.NEW
        assert len(await store.search(embedding(1), 5)) == 1
        assert await numbers(store.scan()) == [1]
        assert await store.count() == 1
        assert await store.remove(1)
        assert not any(server.failures.values())

    async def test_what_will_not_pass_is_not_tried_again(self, server: Qdrant, opened: Any) -> None:
        store = await opened(server.connect)
        server.failures["Count"] = [StatusCode.INVALID_ARGUMENT]
        assert await fails(store.count(), "log says why") < 0.1
        assert server.calls["Count"] == 1

    async def test_a_lost_answer_changes_nothing(self, server: Qdrant, opened: Any) -> None:
        """What was carried out before the connection broke is neither done twice nor denied."""
        store = await opened(server.connect)
        server.lost_answers = {"Upsert": 2, "Delete": 1}
        assert await store.add(face(1), embedding(1)) is Added.NEW
        assert server.calls["Upsert"] == 3
        assert await store.count() == 1
        assert await store.remove(1) is True
        assert await store.count() == 0

    async def test_pictures_below_the_threshold_are_not_fetched(self, server: Qdrant, opened: Any) -> None:
        """The server leaves them out by itself."""
        store = await opened(server.connect)
        await store.add(face(1), embedding(1))
        assert await store.search(embedding(2), 5, threshold=0.6) == []
        assert server.last["Query"].score_threshold == pytest.approx(0.6, abs=1e-5)
        assert server.last["Query"].limit == 5
        assert server.last["Query"].params.quantization.rescore

    async def test_large_pictures_go_in_several_requests(self, server: Qdrant, opened: Any) -> None:
        """Qdrant takes 32 MB at a time."""
        store = await opened(server.connect)
        batch = [(face(n, picture="p" * 3 * 2**20), embedding(n)) for n in range(1, 8)]
        assert await store.add_many(batch) == [Added.NEW] * 7
        assert server.calls["Upsert"] == 4

    async def test_a_slow_server_fails_a_request_but_not_a_batch(self, server: Qdrant, opened: Any) -> None:
        """A person waits for the one, nobody for the other."""
        store = await opened(server.connect, request_limit_s=0.3)
        server.delay_s = 0.4
        assert await fails(store.add(face(1), embedding(1)), r"within 0\.3 s") < 0.5
        assert await fails(store.count(), "safe") < 0.5
        assert await store.add_many([(face(n), embedding(n)) for n in range(2, 5)]) == [Added.NEW] * 3
        server.delay_s = 0
        assert await store.count() in (3, 4)

    async def test_a_wrong_key_is_told_and_shown_nowhere(
        self, server: Qdrant, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        store = QdrantStore(connector(server.url, server.port, "wrong-secret"), "faces")
        await fails(store.open(), "FACE_QDRANT_API_KEY")
        await store.close()
        assert "wrong-secret" not in caplog.text

    async def test_logs_hold_no_faces(self, server: Qdrant, opened: Any, caplog: pytest.LogCaptureFixture) -> None:
        """Pictures, embeddings, remarks and the key stay out of the logs, failures included."""
        caplog.set_level(logging.DEBUG)
        store = await opened(server.connect)
        await fails(store.add(face(1, picture="secret" * 99), embedding(1)[:100]))
        await server.stop()
        await fails(store.add(face(1, picture="secret" * 99), embedding(1)))
        for word in ("secret", "person 1", KEY):
            assert word not in caplog.text

    async def test_closing_fails_what_waits(self, server: Qdrant, opened: Any) -> None:
        """Nobody hangs, and nobody is told that he gave up himself."""
        store = await opened(server.connect)
        server.delay_s = 2
        waiting = asyncio.create_task(store.count())
        await asyncio.sleep(0.1)
        await store.close()
        assert await fails(waiting, "closed") < 1

    async def test_whoever_gives_up_is_let_go(self, server: Qdrant, opened: Any) -> None:
        store = await opened(server.connect)
        server.delay_s = 1
        waiting = asyncio.create_task(store.count())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


class TestAway:
    """A server that can't be reached: a clear answer within 5 s, and service again once it is back."""

    async def test_nobody_listens(self) -> None:
        """A service that starts then says so and leaves."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        store = QdrantStore(connector("http://127.0.0.1:1", port, None), "faces")
        assert await fails(store.open(), "FACE_QDRANT_URL") < 5
        await store.close()

    async def test_somebody_listens_and_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            store = QdrantStore(connector("http://127.0.0.1:1", silent.getsockname()[1], None), "faces")
            assert await fails(store.open()) < 5
            await store.close()

    async def test_it_is_restarted(self, server: Qdrant, opened: Any, caplog: pytest.LogCaptureFixture) -> None:
        """Requests fail while it is away, work when it is back, and the log says both once."""
        store = await opened(server.connect)
        await store.add(face(1), embedding(1))
        await server.stop()
        assert await fails(store.search(embedding(1), 5)) < 5
        assert max(await asyncio.gather(*(fails(store.count()) for _ in range(50)))) < 5
        await server.start()
        await recovers(store, within_s=5)
        assert [match.face for match in await store.search(embedding(1), 5)] == [face(1)]
        texts = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert sum("is away" in text for text in texts) == 1

    async def test_a_short_break_is_not_even_noticed(self, server: Qdrant, opened: Any) -> None:
        store = await opened(server.connect)
        await server.stop()
        counting = asyncio.create_task(store.count())
        await asyncio.sleep(0.2)
        await server.start()
        assert await counting == 0

    @pytest.mark.parametrize("bulk", [False, True])
    async def test_its_machine_falls_silent(self, server: Qdrant, opened: Any, bulk: bool) -> None:
        """No packet says that the connection is dead; it is noticed all the same, by batches too."""
        wire = Wire(server.port)
        await wire.start()
        store = await opened(connector("http://127.0.0.1:1", wire.port, KEY))
        wire.still.set()
        assert await fails(store.add_many([(face(1), embedding(1))]) if bulk else store.count()) < 5
        wire.still.clear()
        await recovers(store, within_s=8)
        await wire.hang_up()
        await fails(store.count())
        await wire.start()
        await recovers(store, within_s=5)
        await store.close()
        await wire.hang_up()


async def test_the_settings_choose_it(server: Qdrant) -> None:
    """FACE_QDRANT_URL and its companions."""
    settings = Settings.from_env(
        {
            "FACE_QDRANT_URL": "http://127.0.0.1:6333",
            "FACE_QDRANT_GRPC_PORT": str(server.port),
            "FACE_QDRANT_API_KEY": KEY,
            "FACE_QDRANT_COLLECTION": "visitors",
            "FACE_QDRANT_SHARDS": "3",
            "FACE_QDRANT_QUANTIZE": "int8",
        }
    )
    store = open_store(settings)
    assert await store.open() is None
    await store.bind(CONTRACT)
    assert await store.add(face(1), embedding(1)) is Added.NEW
    await store.close()
    made = server.last["Create"]
    assert made.collection_name.startswith("visitors-")
    assert made.shard_number == 3
    assert made.HasField("quantization_config")


def models_memory(name: str) -> int:
    """The number that gRPC has for a memory tier."""
    from qdrant_client import grpc

    number: int = grpc.Memory.Value(name)
    return number
