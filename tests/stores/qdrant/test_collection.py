"""How the gallery lies in Qdrant: its collection, the alias that stands for it, and its settings."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from grpc import StatusCode
from qdrant_client import grpc, models

from service.errors import ContractMismatch, StoreUnavailable
from service.stores.qdrant import collection, shards
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.link import QdrantLink
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY as HERE
from tests.support.availability import fails
from tests.support.qdrant import KEY, LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, embedding, face, numbers

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

OTHER = replace(CONTRACT, model="casia-webface", digest="f" * 64)


async def make_by_hand(link: QdrantLink, size: int = 512, distance: models.Distance = models.Distance.COSINE) -> None:
    """A collection `faces`, as an operator could have made it."""
    vectors = models.VectorParams(size=size, distance=distance)
    await link.call(lambda client: client.create_collection("faces", vectors))


def models_memory(name: str) -> int:
    """The number that gRPC has for a memory tier."""
    number: int = grpc.Memory.Value(name)
    return number


class TestCollection:
    """How the gallery lies in Qdrant."""

    async def test_what_a_new_one_is_made_with(self, server: Qdrant, opened: Any) -> None:
        """Embeddings at hand, pictures on disk, links inside each gallery only, and the contract in it."""
        await opened(server.connect)
        made = server.last["Create"]
        assert made.vectors_config.params.size == 512
        assert made.vectors_config.params.memory == models_memory("Cached")
        assert made.payload.memory == models_memory("Cold")
        assert (made.hnsw_config.m, made.hnsw_config.payload_m) == (0, 16)
        assert made.metadata["model_contract"].struct_value.fields["model"].string_value == "vggface2"
        assert not made.HasField("quantization_config")
        assert not made.HasField("shard_number")

    async def test_which_fields_are_indexed(self, server: Qdrant, opened: Any) -> None:
        """The gallery is the tenant, and only it has links of its own; numbers are ordered by and counted."""
        await opened(server.connect)
        real = collection.real_name("faces", CONTRACT)
        indexes = {field: params.model_dump() for field, params in server.indexes[real].items()}
        expected = {"gallery", "remark", "sha256", "device_id", "name", "name_order", "person"}
        assert set(indexes) == expected | {"registered_at", "expires_at"}
        assert [field for field, params in indexes.items() if params["enable_hnsw"] is not False] == ["gallery"]
        assert [field for field, params in indexes.items() if params.get("is_tenant")] == ["gallery"]
        assert [field for field, params in indexes.items() if params.get("prefix")] == ["name"]
        numbers = [field for field, params in indexes.items() if params.get("lookup") and params.get("range")]
        assert numbers == ["name_order", "person"]
        assert {params["memory"] for params in indexes.values()} == {models.Memory.CACHED}

    async def test_the_settings_are_the_operators(self, server: Qdrant, opened: Any) -> None:
        """Shards, copies and int8; with int8 the exact embeddings move to disk."""
        await opened(
            server.connect, collection_settings=CollectionSettings(shards=6, replicas=2, write_consistency=2, int8=True)
        )
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
        await collection.create(link, "faces", OTHER, CollectionSettings())
        assert await numbers(store.scan(gallery=HERE)) == [1]
        with pytest.raises(ContractMismatch):
            await opened(server.connect)
        after = await opened(server.connect, OTHER)
        await after.add(face(2), embedding(2))
        assert await numbers(store.scan(gallery=HERE)) == [1]
        assert await numbers(after.scan(gallery=HERE)) == [2]

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
        assert await numbers((await opened(server.connect)).scan(gallery=HERE)) == [1]

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

    @pytest.mark.slow
    async def test_services_that_start_together_on_several_nodes(self, server: Qdrant, opened: Any) -> None:
        """The collection is known to every node before its shards are: those that come second wait for them."""
        node = Qdrant(api_key=KEY, host="127.0.0.2", peer=server)
        await node.start()
        await opened(server.connect)
        node.shards_away = 3
        later = await opened(node.connect)
        assert await later.add(face(1), embedding(1)) is Added.NEW
        await node.stop()

    @pytest.mark.slow
    async def test_shards_that_never_become_active(self, server: Qdrant, link: QdrantLink, opened: Any) -> None:
        """A clear answer instead of a service that can't read."""
        await opened(server.connect)
        server.shards_away = 1000
        await fails(
            shards.wait_until_active(link, collection.real_name("faces", CONTRACT), limit_s=0.5), "not become active"
        )

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
