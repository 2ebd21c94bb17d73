"""The trail of a running service: nobody waits who needn't, nothing promised is lost, failures are told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from service.audit import trail as trails
from service.audit.events import Erasure, Selection
from service.audit.trail import Trail
from service.audit.trail_file import TrailFile
from service.errors import AuditUnavailable
from tests.audit.test_trail_file import BOB, NOW, ZOE, event, raw


@pytest.fixture
async def trail(path: Path) -> AsyncIterator[Trail]:
    trail = Trail(path, 30, lambda: NOW)
    yield trail
    await trail.close()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Has the disk fail, or work again."""
    write = TrailFile.write

    def switch(fails: bool) -> None:
        def full(*_: object) -> None:
            raise AuditUnavailable("The disk is full.")

        monkeypatch.setattr(TrailFile, "write", full if fails else write)

    return switch


async def test_many_at_once_are_written_in_their_order(trail: Trail) -> None:
    await asyncio.gather(*(trail.put(event(n, ZOE)) for n in range(1000)))
    found = await trail.page(Selection(limit=2000))
    assert [each.request_id for each in found] == [f"{n:016x}" for n in range(1000)]


async def test_what_nobody_waits_for_is_there_at_the_end(path: Path) -> None:
    trail = Trail(path, 30, lambda: NOW)
    for n in range(500):
        trail.put_soon(event(n))
    await trail.close()
    with closing(TrailFile(path)) as file:
        assert len(file.page(Selection(limit=1000), NOW)) == 500


async def test_a_writing_that_fails_is_told_to_those_who_wait(
    trail: Trail, failing: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The others are counted, in one line; once the disk works again, so does the trail."""
    failing(True)
    with pytest.raises(AuditUnavailable, match="The audit trail can't be written"):
        await trail.put(event(1))
    for n in (2, 3):
        trail.put_soon(event(n))
    with pytest.raises(AuditUnavailable):
        await trail.put(event(4))
    failing(False)
    trail.put_soon(event(5))
    await trail.put(event(6))
    assert trail.failing is False, "it works again"
    await asyncio.sleep(0)
    assert [each.getMessage() for each in caplog.records] == [
        "The disk is full. Until then nothing is changed, and recognitions aren't written down.",
        "The audit trail is written again; it lacks 2 outcomes of requests.",
    ]


async def test_a_disk_that_hangs_fills_no_memory(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded; beyond, who waits is told at once."""
    monkeypatch.setattr(trails, "MAX_WAITING", 3)
    waiting = [trail.put(event(n)) for n in range(3)]
    with pytest.raises(AuditUnavailable, match="can't keep up"):
        await trail.put(event(4))
    await asyncio.gather(*waiting)
    await trail.put(event(5))


async def test_a_file_that_was_moved_away_is_begun_anew(trail: Trail, path: Path) -> None:
    """As a rotation of files does it: nothing is written where nobody would find it."""
    await trail.put(event(1))
    for each in sorted(path.parent.iterdir()):
        each.rename(each.with_name(f"old-{each.name}"))
    await trail.put(event(2))
    assert [each.request_id for each in await trail.page(Selection())] == [f"{2:016x}"]


async def test_an_erasure_is_on_the_disk_when_it_is_done(trail: Trail, path: Path) -> None:
    await trail.put(event(1, ZOE, BOB))
    await trail.change_names(Erasure(gallery="default", remark=ZOE.remark))
    [found] = await trail.page(Selection())
    assert [each.remark for each in found.subjects] == [None, "Bob"]
    assert b"Quux-77" not in raw(path)


async def test_events_are_kept_for_their_days(path: Path) -> None:
    trail = Trail(path, 1, lambda: NOW + timedelta(days=1, seconds=30))
    await trail.put(event(1))
    await trail.put(event(60))
    expiring = asyncio.create_task(trail.keep_for_its_days(pause_s=0.01))
    async with asyncio.timeout(10):
        while len(await trail.page(Selection())) != 1:  # noqa: ASYNC110 - the trail's thread sets no event
            await asyncio.sleep(0.01)
    expiring.cancel()
    await asyncio.wait([expiring])
    await trail.close()


async def test_a_trail_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditUnavailable, match="FACE_AUDIT="):
        Trail(tmp_path / "file" / "audit.sqlite", 30, lambda: NOW)
