"""Faces whose time is up are removed, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from service.errors import StoreUnavailable
from service.gallery.expiry import TrustedClock, remove_expired_faces
from service.stores.store import Store
from tests.support.clock import Clock
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


class TestTrustedClock:
    """A wrong clock removes nobody for good."""

    def turned(self) -> tuple[TrustedClock, list[datetime], Clock]:
        times, steady = [START], Clock()
        return TrustedClock(lambda: times[-1], steady), times, steady

    def test_it_goes_as_the_clock_goes(self) -> None:
        trusted, times, steady = self.turned()
        for _ in range(3):
            times.append(times[-1] + timedelta(seconds=61))
            steady.now += 60
            assert trusted.now() == times[-1]

    def test_a_jump_ahead_counts_after_an_hour(self) -> None:
        """Until then the time goes on from where it was."""
        trusted, times, steady = self.turned()
        times.append(START + 400 * DAY)
        assert trusted.now() == START
        steady.now += 3000
        times.append(times[-1] + timedelta(seconds=3000))
        assert trusted.now() == START + timedelta(seconds=3000)
        steady.now += 600
        times.append(times[-1] + timedelta(seconds=600))
        assert trusted.now() == times[-1]

    def test_a_jump_ahead_that_is_taken_back_never_counts(self) -> None:
        trusted, times, steady = self.turned()
        for _ in range(100):
            times.append(START + 400 * DAY)
            assert trusted.now() <= START + timedelta(seconds=steady.now)
            steady.now += 60
            times.append(START + timedelta(seconds=steady.now - 1000))
            assert trusted.now() == times[-1]

    def test_a_jump_back_counts_at_once(self) -> None:
        trusted, times, _ = self.turned()
        times.append(START - DAY)
        assert trusted.now() == times[-1]


async def test_a_clock_that_jumps_ahead_removes_nobody_at_once(store: Store) -> None:
    await fill(store, [face(1, expires_at=START + DAY)])
    times = [START]
    async with removing(store, lambda: times[-1]):
        await asyncio.sleep(0.05)
        times.append(START + 2 * DAY)
        await asyncio.sleep(0.2)
        assert await store.count() == 1
