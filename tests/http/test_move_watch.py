"""A gallery that moves to another model while a service has it open."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from service.errors import ModelUnavailable
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


def has_moved(watch: MoveWatch) -> bool:
    return watch.has_moved


async def test_it_is_noticed_and_told_once(server: Qdrant, caplog: pytest.LogCaptureFixture) -> None:
    """Not while the move goes on, and not because the server is away; for good once it is done.

    The service stays ready as long as nothing is known against the other model.
    """
    store = QdrantStore(server.connect, "faces")
    await store.open()
    await store.bind(CONTRACT)
    watch = MoveWatch(store)
    migration = QdrantMigration(server.connect, "faces", collection_settings=CollectionSettings())
    await migration.open()
    await migration.begin(replace(CONTRACT, model="casia-webface"))
    async with migration.block_writes():
        await watch.look()
        assert not has_moved(watch)
        await migration.switch()
    await server.stop()
    await watch.look()
    assert not has_moved(watch)
    await server.start()
    caplog.clear()
    await watch.watch()
    assert has_moved(watch)
    assert [each.levelno for each in caplog.records if "moved" in each.message] == [logging.WARNING]
    assert not told(watch)
    watch.fail(ModelUnavailable("It is not there."))
    watch.fail(ModelUnavailable("It is not there."))
    assert told(watch).endswith("It is not there.")
    assert [each.levelno for each in caplog.records if "moved" in each.message] == [logging.WARNING, logging.ERROR]
    await store.close()
    await migration.close()
