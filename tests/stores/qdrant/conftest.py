"""Stores on a Qdrant server, and a connection of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from service.stores.qdrant.link import QdrantLink
from service.stores.qdrant.store import QdrantStore
from tests.support.qdrant import Qdrant
from tests.support.stored_faces import CONTRACT


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
    made = QdrantLink(server.connect, request_limit_s=5)
    made.open()
    yield made
    await made.close()
