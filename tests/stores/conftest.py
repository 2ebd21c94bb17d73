"""Stores of every kind, opened and bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.stores.edge.store import EdgeStore
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Store
from tests.support import qdrant
from tests.support.qdrant import KEY, Qdrant
from tests.support.stored_faces import CONTRACT

MakeStore = Callable[[], Store]


@pytest.fixture(params=["edge", "local", "grpc", "server"])
async def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeStore]:
    """Makes stores that all reach the same gallery; another kind of store is another parameter."""
    if request.param == "edge":
        yield lambda: EdgeStore(tmp_path / "gallery")
    elif request.param == "local":
        async with qdrant.local_mode() as (connect, name):
            yield lambda: QdrantStore(connect, name)
    elif request.param == "grpc":
        server = qdrant.Qdrant(api_key="secret")
        await server.start()
        yield lambda: QdrantStore(server.connect, "faces")
        await server.stop()
    elif qdrant.URL:
        async with qdrant.real_server(qdrant.URL) as (connect, name):
            yield lambda: QdrantStore(connect, name)
    else:
        pytest.skip("needs QDRANT_TEST_URL")


@pytest.fixture
async def store(make_store: MakeStore) -> AsyncIterator[Store]:
    """A store, opened and bound."""
    made = make_store()
    assert await made.open() is None
    await made.bind(CONTRACT)
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[Qdrant]:
    """A running Qdrant that asks for KEY, without a collection."""
    made = Qdrant(api_key=KEY)
    await made.start()
    yield made
    await made.stop()
