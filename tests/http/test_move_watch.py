"""A gallery that moves to another model while a service has it open."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from service.http.move_watch import MoveWatch
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.migration import QdrantMigration
from service.stores.qdrant.store import QdrantStore
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT

pytestmark = [pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS), pytest.mark.slow]


@pytest.fixture
async def server() -> AsyncIterator[Qdrant]:
    made = Qdrant()
    await made.start()
    yield made
    await made.stop()


def told(watch: MoveWatch) -> str:
    """Why the service isn't ready; empty where it is."""
    return str(watch.failure or "")


async def test_it_is_noticed_and_told_once(server: Qdrant, caplog: pytest.LogCaptureFixture) -> None:
    """Not while the move goes on, and not because the server is away; for good once it is done."""
    store = QdrantStore(server.connect, "faces")
    await store.open()
    await store.bind(CONTRACT)
    watch = MoveWatch(store)
    migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
    await migration.open()
    await migration.begin(replace(CONTRACT, model="casia-webface"))
    async with migration.block_writes():
        await watch.look()
        assert not told(watch)
        await migration.switch()
    await server.stop()
    await watch.look()
    assert not told(watch)
    await server.start()
    caplog.clear()
    await watch.watch()
    assert watch.has_moved
    assert "has moved to another model" in told(watch)
    assert [each.levelno for each in caplog.records if "moved" in each.message] == [logging.ERROR]
    await store.close()
    await migration.close()
