"""A server that can't be reached: a clear answer within 5 s, and service again once it is back."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest

from service.stores.qdrant.addresses import connector
from service.stores.qdrant.store import QdrantStore
from service.values import DEFAULT_GALLERY as HERE
from tests.support.availability import fails, recovers
from tests.support.qdrant import KEY, LOCAL_MODE_WARNINGS, Qdrant, Wire
from tests.support.stored_faces import embedding, face

pytestmark = [pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS), pytest.mark.slow]


async def test_nobody_listens() -> None:
    """A service that starts then says so and leaves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = QdrantStore(connector(url="http://127.0.0.1:1", grpc_port=port, api_key=None), "faces")
    assert await fails(store.open(), "FACE_QDRANT_URL") < 5
    await store.close()


async def test_somebody_listens_and_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = QdrantStore(
            connector(url="http://127.0.0.1:1", grpc_port=silent.getsockname()[1], api_key=None), "faces"
        )
        assert await fails(store.open()) < 5
        await store.close()


async def test_it_is_restarted(server: Qdrant, opened: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Requests fail while it is away, work when it is back, and the log says both once."""
    store = await opened(server.connect)
    await store.add(face(1), embedding(1))
    await server.stop()
    assert await fails(store.search(embedding(1), 5, gallery=HERE)) < 5
    assert max(await asyncio.gather(*(fails(store.count()) for _ in range(50)))) < 5
    await server.start()
    await recovers(store.count, within_s=5)
    assert [nearest.face_id for nearest in (await store.search(embedding(1), 5, gallery=HERE)).neighbours] == [1]
    texts = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum("is away" in text for text in texts) == 1


async def test_a_short_break_is_not_even_noticed(server: Qdrant, opened: Any) -> None:
    store = await opened(server.connect)
    await server.stop()
    counting = asyncio.create_task(store.count())
    await asyncio.sleep(0.2)
    await server.start()
    assert await counting == 0


@pytest.mark.parametrize("bulk", [False, True])
async def test_its_machine_falls_silent(server: Qdrant, opened: Any, bulk: bool) -> None:
    """No packet says that the connection is dead; it is noticed all the same, by batches too."""
    wire = Wire(server.port)
    await wire.start()
    store = await opened(connector(url="http://127.0.0.1:1", grpc_port=wire.port, api_key=KEY))
    wire.still.set()
    assert await fails(store.add_many([(face(1), embedding(1))]) if bulk else store.count()) < 5
    wire.still.clear()
    await recovers(store.count, within_s=8)
    await wire.hang_up()
    await fails(store.count())
    await wire.start()
    await recovers(store.count, within_s=5)
    await store.close()
    await wire.hang_up()
