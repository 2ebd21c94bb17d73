"""Faces whose time is up are removed, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from service.errors import StoreUnavailable
from service.gallery.expiry import remove_expired_faces
from service.stores.store import Store
from tests.support.stored_faces import START, face, fill

DAY = timedelta(days=1)


@asynccontextmanager
async def removing(store: Store, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    task = asyncio.create_task(remove_expired_faces(store, clock, pause_s=0.01))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(faces: int, store: Store) -> None:
    """Wait until the store has so many faces."""
    async with asyncio.timeout(10):
        while await store.count() != faces:  # noqa: ASYNC110 - nothing tells when a store has changed
            await asyncio.sleep(0.01)


async def test_only_those_whose_time_is_up_go(store: Store) -> None:
    """In every gallery, by a time of the service's."""
    await store.create_gallery("visitors", START)
    await fill(
        store,
        [
            face(1),
            face(2, expires_at=START + DAY),
            face(3, expires_at=START + DAY, gallery="visitors"),
            face(4, expires_at=START + 2 * DAY),
        ],
    )
    now = START + DAY - timedelta(microseconds=1)
    async with removing(store, lambda: now):
        await asyncio.sleep(0.1)
        assert await store.count() == 4
        now = START + DAY
        await until(2, store)
    assert sorted(await store.fetch([1, 2, 3, 4], gallery=None)) == [1, 4]


async def test_several_services_may_do_so(store: Store) -> None:
    await fill(store, [face(number, expires_at=START) for number in range(1, 50)])
    async with removing(store, lambda: START), removing(store, lambda: START):
        await until(0, store)


async def test_a_store_that_is_away_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And so is one that fails in a way that nobody thought of; both are logged."""
    await fill(store, [face(1, expires_at=START)])
    failures: list[Exception] = [StoreUnavailable("The store is away."), ZeroDivisionError()]
    whole = store.remove_expired

    async def failing(now: datetime) -> int:
        if failures:
            raise failures.pop(0)
        return await whole(now)

    monkeypatch.setattr(store, "remove_expired", failing)
    caplog.set_level(logging.INFO)
    async with removing(store, lambda: START):
        await until(0, store)
    assert [record.levelname for record in caplog.records][:2] == ["WARNING", "ERROR"]
    assert "The store is away." in caplog.messages[0]
