"""Several nodes: the next one is asked when one doesn't answer, and the first one again once it is well."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.stores.qdrant import addresses, nodes
from service.stores.qdrant.addresses import connector
from service.stores.qdrant.nodes import Connect, Node, Nodes
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added
from tests.support.availability import fails, recovers
from tests.support.qdrant import KEY, LOCAL_MODE_WARNINGS, Qdrant, Wire
from tests.support.stored_faces import embedding, face

pytestmark = [pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS), pytest.mark.slow]

URL = "http://127.0.0.1:6333, http://127.0.0.2:6333,http://127.0.0.3:6333"


@pytest.fixture
async def cluster(server: Qdrant) -> AsyncIterator[list[Qdrant]]:
    """Three nodes on one port of three addresses, with the same faces."""
    others = [Qdrant(api_key=KEY, host=f"127.0.0.{number}", peer=server) for number in (2, 3)]
    for each in others:
        await each.start()
    yield [server, *others]
    for each in others:
        await each.stop()


@pytest.fixture
def connect(cluster: list[Qdrant]) -> Connect:
    return connector(url=URL, grpc_port=cluster[0].port, api_key=KEY)


async def asked(store: QdrantStore, node: str) -> None:
    """Until that node is the one that is asked."""
    async with asyncio.timeout(5):
        while store.node != node:
            await asyncio.sleep(0.02)
            await store.count()


async def test_a_dead_one_is_passed_over(cluster: list[Qdrant], connect: Connect, opened: Any) -> None:
    """Reading and writing go on within a second, whichever of them are left."""
    store = await opened(connect)
    assert store.node == "http://127.0.0.1:6333"
    for number, dead in enumerate(cluster[:2], 1):
        await dead.stop()
        began = time.monotonic()
        assert await store.add(face(number), embedding(number)) is Added.NEW
        assert time.monotonic() - began < 1
        assert await store.count() == number
    assert store.node == "http://127.0.0.3:6333"


async def test_a_start_with_a_dead_one(cluster: list[Qdrant], connect: Connect, opened: Any) -> None:
    await cluster[0].stop()
    store = await opened(connect)
    assert store.node == "http://127.0.0.2:6333"


async def test_a_silent_one_is_left_within_a_second(cluster: list[Qdrant], opened: Any) -> None:
    """One whose machine is paused takes requests and answers none."""
    wire = Wire(cluster[0].port)
    await wire.start()
    one = connector(url="http://127.0.0.1:6333", grpc_port=wire.port, api_key=KEY)
    other = connector(url="http://127.0.0.2:6333", grpc_port=cluster[0].port, api_key=KEY)

    async def both() -> list[Node]:
        return [*await one(), *await other()]

    store = await opened(both)
    wire.still.set()
    began = time.monotonic()
    assert await store.count() == 0
    assert time.monotonic() - began < 1
    assert store.node == "http://127.0.0.2:6333"
    await wire.hang_up()


async def test_where_all_are_slow_none_is_left(cluster: list[Qdrant], connect: Connect, opened: Any) -> None:
    """A long request on busy nodes is waited for."""
    store = await opened(connect)
    cluster[0].delay_s = cluster[1].delay_s = cluster[2].delay_s = 1.5
    assert await store.count() == 0
    assert store.node == "http://127.0.0.1:6333"
    assert cluster[0].calls["Count"] == 1


async def test_a_long_request_stays_with_a_node_that_works(
    cluster: list[Qdrant], connect: Connect, opened: Any
) -> None:
    """That others are quicker is no reason to send it again."""
    store = await opened(connect)

    async def take_long() -> None:
        await asyncio.sleep(1.5)

    cluster[0].meanwhile["Count"] = take_long
    assert await store.count() == 0
    assert [each.calls["Count"] for each in cluster] == [1, 0, 0]


async def test_all_are_dead_and_come_back(cluster: list[Qdrant], connect: Connect, opened: Any) -> None:
    """A clear answer within 5 s, and service again with the first one that is there."""
    store = await opened(connect)
    for each in cluster:
        await each.stop()
    assert await fails(store.count(), "FACE_QDRANT_URL") < 5
    await cluster[2].start()
    await recovers(store.count, within_s=5)
    assert store.node == "http://127.0.0.3:6333"


async def test_the_first_one_is_asked_again_once_it_is_well(
    cluster: list[Qdrant], connect: Connect, opened: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Not before it has answered for a while; the log says both once."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(nodes, "PROBE_EVERY_S", 0.1)
    monkeypatch.setattr(nodes, "RETURN_AFTER_S", 0.6)
    store = await opened(connect)
    await cluster[0].stop()
    await asyncio.gather(*(store.count() for _ in range(20)))
    await cluster[0].start()
    back = time.monotonic()
    await asked(store, "http://127.0.0.1:6333")
    assert time.monotonic() - back > 0.5
    texts = [record.message for record in caplog.records]
    assert sum("doesn't answer" in text for text in texts) == 1
    assert sum("answers again, and is asked" in text for text in texts) == 1


async def test_a_name_that_stands_for_several(
    cluster: list[Qdrant], opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a headless service of Kubernetes; nodes that come later under that name are asked too."""
    hosts = ["127.0.0.1", "127.0.0.2"]

    async def look_up(name: str, _: int) -> list[str]:
        assert name == "qdrant.test"
        return [*hosts]

    monkeypatch.setattr(addresses, "_hosts", look_up)
    monkeypatch.setattr(nodes, "FIND_EVERY_S", 0.0)
    store = await opened(connector(url="http://qdrant.test:6333", grpc_port=cluster[0].port, api_key=KEY))
    assert store.node == "http://127.0.0.1:6333"
    hosts[:] = ["127.0.0.3"]
    await cluster[0].stop()
    await cluster[1].stop()
    await recovers(store.count, within_s=5)
    await asked(store, "http://127.0.0.3:6333")


async def test_names_and_numbers_as_addresses() -> None:
    """A name of one machine stays a name, so that gRPC looks it up; numbers stand for themselves."""
    for url in ("http://127.0.0.1", "https://[::1]:7000", "http://no-such-name.invalid", f"http://{'x' * 99}.test"):
        found = await connector(url=url, grpc_port=6334, api_key=None)()
        assert [each.address for each in found] == [url if url.endswith("7000") else f"{url}:6333"]


async def test_many_ask_before_any_node_is_known(connect: Connect) -> None:
    """All of them get the first one, and the names are looked up once."""
    looked_up = 0

    async def count() -> list[Node]:
        nonlocal looked_up
        looked_up += 1
        await asyncio.sleep(0.05)
        return [*await connect()]

    async with AsyncExitStack() as stack:
        several = Nodes(count)
        stack.push_async_callback(several.close)
        several.is_open = True
        found = await asyncio.gather(*(several.current() for _ in range(10)))
        assert {each.address for each in found} == {"http://127.0.0.1:6333"}
        assert looked_up == 1


async def test_nobody_at_any_address() -> None:
    """A service that starts then says so and leaves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = QdrantStore(connector(url=URL, grpc_port=port, api_key=None), "faces")
    assert await fails(store.open(), "FACE_QDRANT_URL") < 5
    await store.close()
