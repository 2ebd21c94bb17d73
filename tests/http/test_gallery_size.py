"""The gallery's size is told while it is fresh, asked for seldom, and never waited for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from service.errors import StoreUnavailable
from service.http import gallery_size
from service.http.gallery_size import MAX_AGE_S, STALE_S, GallerySize
from tests.support.clock import Clock


class Store:
    """Answers with `faces`, or raises `error` where there is one."""

    def __init__(self) -> None:
        self.faces = 3
        self.error: Exception | None = None
        self.asked = 0

    async def count(self) -> int:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.faces


async def told(size: GallerySize) -> list[float]:
    """The values of a scrape: one, or none."""
    await size.refresh()
    [gauge] = size.collect()
    assert gauge.name == "face_gallery_faces"
    return [sample.value for sample in gauge.samples]


async def test_it_is_counted_again_when_it_is_old() -> None:
    store, clock = Store(), Clock()
    size = GallerySize(store.count, clock)
    assert [await told(size) for _ in range(3)] == [[3], [3], [3]]
    store.faces = 4
    clock.now += MAX_AGE_S
    assert await told(size) == [3]
    clock.now += 0.1
    assert await told(size) == [4]
    assert store.asked == 2


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("unforeseen")])
async def test_a_store_that_is_away_fails_no_scrape(error: Exception) -> None:
    """The last count is told until it is stale, then none is, and then again the new one."""
    store, clock = Store(), Clock()
    size = GallerySize(store.count, clock)
    assert await told(size) == [3]
    store.error = error
    clock.now += STALE_S
    assert await told(size) == [3]
    clock.now += 0.1
    assert await told(size) == []
    store.error, store.faces = None, 5
    assert await told(size) == [5]


async def test_a_count_that_takes_long_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scrape that asked goes without it, and a later one has it."""
    monkeypatch.setattr(gallery_size, "WAIT_S", 0.02)
    answer = asyncio.Event()

    async def slow() -> int:
        await answer.wait()
        return 9

    size = GallerySize(slow)
    began = time.monotonic()
    assert await told(size) == []
    assert await told(size) == []
    assert time.monotonic() - began < 5
    answer.set()
    assert await told(size) == [9]


@pytest.mark.parametrize("ask", [False, True])
async def test_closing_ends_a_count(ask: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_size, "WAIT_S", 0.0)
    forever: Callable[[], Awaitable[int]] = asyncio.get_running_loop().create_future
    size = GallerySize(forever)
    if ask:
        await size.refresh()
    async with asyncio.timeout(5):
        await size.close()
