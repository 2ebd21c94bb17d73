"""When secrets were used: remembered in a file or in Redis, without the secrets, and without a request that waits."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from service.devices.secret_uses import RENEWED_S, SecretUses, UseFile, UseRecord, UseRedis, mark_of, open_record
from service.errors import NoncesUnavailable
from tests.devices.test_replay import redis_server
from tests.support.clock import Clock

OLD, NEW = "o" * 32, "n" * 32
START = 1_764_000_000.0


def time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def used(secret: str, seconds: float, device: str = "door-7") -> dict[str, dict[str, float]]:
    return {device: {mark_of(device, secret): seconds}}


@pytest.fixture
def file(tmp_path: Path) -> UseFile:
    return UseFile(tmp_path / "data" / "secret-uses.json")


def remembers(record: UseRecord) -> None:
    """What every record must do."""
    assert record.last_used("door-7", OLD) is None
    record.write(used(OLD, START))
    record.write(used(NEW, START + 60) | used(OLD, START, "lobby"))
    assert record.last_used("door-7", OLD) == time(START)
    assert record.last_used("door-7", NEW) == time(START + 60)
    assert record.last_used("lobby", OLD) == time(START)
    assert record.last_used("lobby", NEW) is None


def test_a_file_remembers(file: UseFile) -> None:
    remembers(file)


def test_redis_remembers(tmp_path: Path) -> None:
    """For replicas, whose nonces are there too; while it is away, the sentence says what to do."""
    with redis_server(tmp_path) as (url, _):
        record = open_record(tmp_path, url)
        assert isinstance(record, UseRedis)
        remembers(record)
    with pytest.raises(NoncesUnavailable, match="check FACE_NONCES_URL and Redis"):
        record.last_used("door-7", OLD)
    with pytest.raises(NoncesUnavailable, match="check FACE_NONCES_URL and Redis"):
        record.write(used(OLD, START))


def test_the_file_is_its_owners_and_holds_no_secret(file: UseFile, tmp_path: Path) -> None:
    """Nor a digest that is long enough to find one by."""
    file.write(used(OLD, START))
    [path] = (tmp_path / "data").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [mark] = json.loads(path.read_text())["door-7"]
    assert len(mark) == 6
    assert mark_of("lobby", OLD) != mark


def test_the_latest_use_counts(file: UseFile) -> None:
    """Of two services with one file, in whatever order they write."""
    file.write(used(OLD, START + 9))
    file.write(used(OLD, START))
    assert file.last_used("door-7", OLD) == time(START + 9)


def test_services_that_write_at_once_lose_nothing(file: UseFile) -> None:
    writers = [Thread(target=file.write, args=(used(OLD, START, f"door-{n}"),)) for n in range(20)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert [file.last_used(f"door-{n}", OLD) for n in range(20)] == [time(START)] * 20


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"door-7": 1}', '{"door-7": {"a": "b"}}', "\x00"])
def test_a_damaged_file_is_begun_anew(file: UseFile, tmp_path: Path, content: str) -> None:
    """It is a memory and no register: nobody is kept out by it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret-uses.json").write_text(content)
    assert file.last_used("door-7", OLD) is None
    file.write(used(OLD, START))
    assert file.last_used("door-7", OLD) == time(START)


def test_a_device_of_many_rotations_fills_nothing(file: UseFile, tmp_path: Path) -> None:
    for n in range(30):
        file.write(used(f"{n:032}", START + n))
    assert file.last_used("door-7", f"{29:032}") == time(START + 29)
    assert len(json.loads((tmp_path / "data" / "secret-uses.json").read_text())["door-7"]) == 4


class Recorded:
    """A record that counts its writings, and fails when told."""

    def __init__(self) -> None:
        self.written: list[Mapping[str, Mapping[str, float]]] = []
        self.full = False

    def write(self, uses: Mapping[str, Mapping[str, float]]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.written.append(uses)

    def last_used(self, device_id: str, secret: str) -> datetime | None:
        raise AssertionError


class TestSecretUses:
    async def test_a_busy_device_is_written_once_a_minute(self) -> None:
        record, clock = Recorded(), Clock()
        uses = SecretUses(record, clock)
        for _ in range(100):
            uses.note("door-7", OLD)
            await uses.write()
            clock.now += 1.0
        assert len(record.written) == 100 // RENEWED_S + 1

    async def test_another_secret_is_written_at_once(self) -> None:
        record, clock = Recorded(), Clock()
        uses = SecretUses(record, clock)
        for secret in (OLD, NEW):
            uses.note("door-7", secret)
            await uses.write()
        assert record.written == [used(OLD, clock.now), used(NEW, clock.now)]

    async def test_what_cannot_be_written_is_tried_again(self, caplog: pytest.LogCaptureFixture) -> None:
        """The log says so once, and no request fails."""
        record, clock = Recorded(), Clock()
        uses = SecretUses(record, clock)
        record.full = True
        for secret in (OLD, NEW, OLD):
            uses.note("door-7", secret)
            await uses.write()
        assert len(caplog.records) == 1
        assert OLD not in caplog.text
        record.full = False
        await uses.write()
        [written] = record.written
        assert set(written["door-7"]) == {mark_of("door-7", OLD), mark_of("door-7", NEW)}

    async def test_what_came_last_is_written_at_the_end(self) -> None:
        record = Recorded()
        uses = SecretUses(record, Clock())
        keeping = asyncio.create_task(uses.keep())
        await asyncio.sleep(0)
        uses.note("door-7", OLD)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        assert len(record.written) == 1
