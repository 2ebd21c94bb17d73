"""People who were not seen for some days are forgotten; being recognised or registered is being seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from service.errors import StoreUnavailable
from service.gallery.retention import RENEWED, TOGETHER, Retention, retained
from service.http.keys import CURRENT, RETENTION
from service.settings import Settings
from service.stores.store import Store
from service.values import DEFAULT_GALLERY as HERE
from tests.conftest import Start
from tests.support.device import Device
from tests.support.stored_faces import START, face, fill, numbers

DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Counted:
    """A store that counts what it is asked."""

    def __init__(self) -> None:
        self.marked: list[Sequence[tuple[str, str]]] = []
        self.away = False

    async def mark_seen(self, people: Sequence[tuple[str, str]], at: datetime) -> None:
        if self.away:
            raise StoreUnavailable("The gallery is away.")
        self.marked.append(people)

    async def remove_unseen(self, before: datetime, now: datetime) -> int:
        return 0


async def test_who_is_seen_again_and_again_stays(store: Store) -> None:
    """All faces of the person, of whom any was recognised; who was not seen goes, after his days and not before."""
    await fill(store, [face(1, remark="Zoë"), face(2, remark="Zoë"), face(3, remark="Bob")])
    clock = Clock()
    retention = Retention(store, 10, clock)
    for day in range(25):
        clock.now = START + day * DAY
        if day % 7 == 0:
            retention.note(HERE, "Zoë")
        await retention.work()
        assert await numbers(store.scan(gallery=HERE)) == ([1, 2, 3] if day <= 10 else [1, 2])


async def test_a_busy_person_is_written_once_a_day() -> None:
    """A thousand recognitions cost one writing."""
    store, clock = Counted(), Clock()
    retention = Retention(store, 30, clock)  # type: ignore[arg-type]  # as much of a store as it needs
    for _ in range(1000):
        retention.note(HERE, "Zoë")
        await retention.work()
    assert store.marked == [[(HERE, "Zoë")]]
    clock.now += RENEWED
    retention.note(HERE, "Zoë")
    await retention.work()
    assert len(store.marked) == 2


async def test_many_people_are_written_in_portions() -> None:
    store = Counted()
    retention = Retention(store, 30, Clock())  # type: ignore[arg-type]  # as much of a store as it needs
    for n in range(2 * TOGETHER + 1):
        retention.note(HERE, f"person {n}")
    await retention.work()
    assert [len(each) for each in store.marked] == [TOGETHER, TOGETHER, 1]


async def test_what_a_store_that_is_away_was_not_told_is_told_later() -> None:
    store = Counted()
    store.away = True
    retention = Retention(store, 30, Clock())  # type: ignore[arg-type]  # as much of a store as it needs
    retention.note(HERE, "Zoë")
    with pytest.raises(StoreUnavailable):
        await retention.work()
    store.away = False
    await retention.work()
    assert store.marked == [[(HERE, "Zoë")]]


async def test_it_goes_on_while_the_store_is_away(caplog: pytest.LogCaptureFixture) -> None:
    store = Counted()
    store.away = True
    retention = Retention(store, 30, Clock())  # type: ignore[arg-type]  # as much of a store as it needs
    retention.note(HERE, "Zoë")
    keeping = asyncio.create_task(retention.keep(pause_s=0.01))
    await asyncio.sleep(0.05)
    store.away = False
    async with asyncio.timeout(10):
        while not store.marked:  # noqa: ASYNC110 - nothing tells when it was asked
            await asyncio.sleep(0.01)
    keeping.cancel()
    assert "The gallery is away." in caplog.text


async def test_without_days_nobody_is_forgotten(store: Store) -> None:
    async with retained(store, 0, Clock()) as retention:
        assert retention is None


@pytest.mark.slow
async def test_a_running_service_notes_whom_it_recognises(
    start: Start, settings: Settings, portraits: dict[str, bytes]
) -> None:
    """And whom it registers; a stranger, and who was only listed, is nobody."""
    client = await start(replace(settings, threshold="auto", retention_days=30))
    retention, device = client.app[RETENTION], Device(client)
    assert retention is not None
    await device.register(portraits["obama"], "Zoë")
    assert retention._seen == {(HERE, "Zoë"): None}
    retention._seen.clear()
    await device.recognise(portraits["biden"])
    await device.faces()
    assert retention._seen == {}
    await device.recognise(portraits["obama2"])
    assert retention._seen == {(HERE, "Zoë"): None}
    retention._seen.clear()
    await client.app[CURRENT].opened.galleries.create("staff")
    path, headers = "/v1/faces?gallery=staff&remark=Bob", {"Content-Type": "image/jpeg"}
    async with client.post(path, data=portraits["obama"], headers=headers) as response:
        assert response.status == 201
    assert retention._seen == {("staff", "Bob"): None}
