"""Nonces are remembered as long as they must be, each device's apart, in memory and in a real Redis."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.devices import replay
from service.devices.replay import KEPT_S, MemoryNonces, Nonces, RedisNonces, make_nonces
from service.errors import InvalidSettings, NoncesUnavailable, RateExceeded
from service.settings import Settings
from tests.conftest import Start
from tests.support.signing import code, devices_file, signed


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, int]]:
    """The URL and process of a Redis of its own; the test is skipped where there is none."""
    pytest.importorskip("redis", reason="needs the package redis")
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server, Debian's package of that name")
    place = folder / "redis.socket"
    command = ["redis-server", "--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 20
            while not answers(place):
                assert time.monotonic() < until
                time.sleep(0.02)
            yield f"unix://{place}", process.pid
        finally:
            process.kill()


def answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "redis"])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Nonces]:
    """Each of the two, for 20 nonces a device; Redis' is emptied first."""
    made: Nonces
    if request.param == "memory":
        made = MemoryNonces(time.monotonic, most=20)
    else:
        made = RedisNonces(request.getfixturevalue("redis")[0], most=20)
        await made._redis.flushall()
    await made.open()
    yield made
    await made.close()


async def test_a_nonce_is_new_once(memory: Nonces) -> None:
    """Of each device; what another device uses says nothing."""
    assert [await memory.record("door-7", "first") for _ in range(3)] == [True, False, False]
    assert await memory.record("door-7", "First")
    assert [await memory.record("other", "first") for _ in range(2)] == [True, False]


async def test_one_of_many_at_once(memory: Nonces) -> None:
    assert sum(await asyncio.gather(*(memory.record("door-7", "same") for _ in range(50)))) == 1


async def test_a_device_fills_its_own_memory_only(memory: Nonces) -> None:
    """It is refused then, because forgetting a nonce would let it be used again; others go on."""
    for number in range(20):
        assert await memory.record("door-7", f"nonce-{number}")
    with pytest.raises(RateExceeded, match="door-7 made 20 requests"):
        await memory.record("door-7", "one more")
    assert not await memory.record("door-7", "nonce-0")
    assert await memory.record("other", "one more")


async def test_memory_forgets_after_twice_the_window() -> None:
    """Not before, and then there is room again."""
    clock = Clock()
    memory = MemoryNonces(clock, most=1)
    assert await memory.record("door-7", "nonce")
    clock.now += KEPT_S - 0.1
    assert not await memory.record("door-7", "nonce")
    clock.now += 0.1
    assert await memory.record("door-7", "nonce")


async def test_redis_forgets_after_twice_the_window(redis: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """By Redis' own clock, also where nothing else is asked."""
    monkeypatch.setattr(replay, "KEPT_S", 2)
    memory = RedisNonces(redis[0], most=1)
    await memory._redis.flushall()
    assert await memory.record("door-7", "nonce")
    assert not await memory.record("door-7", "nonce")
    async with asyncio.timeout(10):
        while not await memory.record("door-7", "nonce"):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        while await memory._redis.dbsize():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await memory.close()


async def test_replicas_share(redis: tuple[str, int], start: Start, settings: Settings, tmp_path: Path) -> None:
    """What one service has let in, another refuses; without Redis it would not."""
    path = devices_file(tmp_path / "devices.toml")
    for url, second in ((redis[0], 1002), (None, 0)):
        ports = []
        for number in range(2):
            folder = tmp_path / f"{second}-{number}"
            each = await start(replace(settings, data=folder, devices=path, nonces_url=url))
            ports.append(each.port or 0)
        request = signed("GET", "/get_registration_face")
        assert await code(ports[0], request) == 0
        assert await code(ports[0], request) == 1002
        assert await code(ports[1], request) == second


async def test_a_redis_that_is_away(
    tmp_path: Path, start: Start, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is let in that can't be checked, stopped or gone; when it is back, so is the service."""
    monkeypatch.setattr(replay, "_PATIENCE_S", 0.2)
    place = tmp_path / "redis"
    place.mkdir()
    with redis_server(place) as (url, process):
        path = devices_file(tmp_path / "devices.toml")
        port = (await start(replace(settings, devices=path, nonces_url=url))).port or 0
        assert await code(port, signed("GET", "/get_registration_face")) == 0
        os.kill(process, signal.SIGSTOP)
        assert await code(port, signed("GET", "/get_registration_face")) == 1004
        os.kill(process, signal.SIGCONT)
        assert await code(port, signed("GET", "/get_registration_face")) == 0
    request = signed("GET", "/get_registration_face")
    assert await code(port, request) == 1004
    with redis_server(place):
        assert await code(port, request) == 0


async def test_without_redis_it_does_not_start(tmp_path: Path) -> None:
    """The sentence names the setting."""
    pytest.importorskip("redis", reason="needs the package redis")
    memory = make_nonces(f"unix://{tmp_path}/nobody")
    with pytest.raises(NoncesUnavailable, match="FACE_NONCES_URL"):
        await memory.open()
    await memory.close()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'face-service\[redis\]'"):
        make_nonces("redis://localhost")
