"""Nonces and rates are remembered as long as they must be, each device's apart, in this process and in a real Redis."""

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
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.devices import replay
from service.devices.replay import KEPT_S, LocalReplayMemory, RedisReplayMemory, ReplayMemory, make_replay_memory
from service.errors import InvalidSettings, NoncesUnavailable, RateExceeded
from service.settings import Settings
from tests.conftest import Start
from tests.support.clock import Clock
from tests.support.signing import code, devices_file, signed


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


@asynccontextmanager
async def opened(memory: RedisReplayMemory) -> AsyncIterator[RedisReplayMemory]:
    """Of a Redis that was emptied first."""
    await memory._redis.flushall()
    await memory.open()
    try:
        yield memory
    finally:
        await memory.close()


@pytest.fixture(params=["local", "redis"])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[ReplayMemory]:
    """Each of the two, for 20 nonces a device and without a rate."""
    if request.param == "local":
        yield LocalReplayMemory(per_minute=0, clock=time.monotonic, max_nonces=20)
    else:
        url, _ = request.getfixturevalue("redis")
        async with opened(RedisReplayMemory(url, per_minute=0, max_nonces=20)) as memory:
            yield memory


async def test_a_nonce_is_new_once(memory: ReplayMemory) -> None:
    """Of each device; what another device uses says nothing."""
    assert [await memory.record(device_id="door-7", nonce="first") for _ in range(3)] == [True, False, False]
    assert await memory.record(device_id="door-7", nonce="First")
    assert [await memory.record(device_id="other", nonce="first") for _ in range(2)] == [True, False]


async def test_one_of_many_at_once(memory: ReplayMemory) -> None:
    asked = (memory.record(device_id="door-7", nonce="same") for _ in range(50))
    assert sum(await asyncio.gather(*asked)) == 1


async def test_a_device_fills_its_own_memory_only(memory: ReplayMemory) -> None:
    """It is refused then, because forgetting a nonce would let it be used again; others go on."""
    for number in range(20):
        assert await memory.record(device_id="door-7", nonce=f"nonce-{number}")
    with pytest.raises(RateExceeded, match="door-7 made 20 requests"):
        await memory.record(device_id="door-7", nonce="one more")
    assert not await memory.record(device_id="door-7", nonce="nonce-0")
    assert await memory.record(device_id="other", nonce="one more")


async def test_this_process_forgets_after_twice_the_window() -> None:
    """Not before, and then there is room again."""
    clock = Clock()
    memory = LocalReplayMemory(per_minute=0, clock=clock, max_nonces=1)
    assert await memory.record(device_id="door-7", nonce="nonce")
    clock.now += KEPT_S - 0.1
    assert not await memory.record(device_id="door-7", nonce="nonce")
    clock.now += 0.1
    assert await memory.record(device_id="door-7", nonce="nonce")


@pytest.mark.process
@pytest.mark.slow
async def test_redis_forgets_after_twice_the_window(redis: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """By Redis' own clock, also where nothing else is asked."""
    monkeypatch.setattr(replay, "KEPT_S", 2)
    async with opened(RedisReplayMemory(redis[0], per_minute=0, max_nonces=1)) as memory:
        assert await memory.record(device_id="door-7", nonce="nonce")
        assert not await memory.record(device_id="door-7", nonce="nonce")
        async with asyncio.timeout(10):
            while not await memory.record(device_id="door-7", nonce="nonce"):  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            while await memory._redis.dbsize():  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_as_many_as_allowed_within_any_minute() -> None:
    """The oldest makes room when it is a minute old, to the second that the sentence says."""
    clock = Clock()
    memory = LocalReplayMemory(per_minute=2, clock=clock)
    for number in range(2):
        await memory.check_rate("door-7")
        assert await memory.record(device_id="door-7", nonce=f"nonce-{number}")
        clock.now += 20
    with pytest.raises(RateExceeded, match="door-7 may make 2 requests a minute; try again in 20 s"):
        await memory.check_rate("door-7")
    await memory.check_rate("other")
    clock.now += 20
    await memory.check_rate("door-7")
    assert await memory.record(device_id="door-7", nonce="nonce-2")
    with pytest.raises(RateExceeded, match="try again in 20 s"):
        await memory.check_rate("door-7")


@pytest.mark.process
async def test_redis_allows_as_many(redis: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same rule and sentence, on its own clock; here a minute has three seconds."""
    monkeypatch.setattr(replay, "MINUTE_S", 3)
    async with opened(RedisReplayMemory(redis[0], per_minute=2)) as memory:
        assert await memory.record(device_id="door-7", nonce="nonce-0")
        await asyncio.sleep(1.5)
        assert await memory.record(device_id="door-7", nonce="nonce-1")
        with pytest.raises(RateExceeded, match=r"door-7 may make 2 requests a minute; try again in [12] s"):
            await memory.check_rate("door-7")
        await memory.check_rate("other")
        await asyncio.sleep(1.6)
        await memory.check_rate("door-7")
        assert await memory.record(device_id="door-7", nonce="nonce-2")
        with pytest.raises(RateExceeded, match=r"try again in [12] s"):
            await memory.check_rate("door-7")


@pytest.fixture(params=["local", "redis"])
async def two_a_minute(request: pytest.FixtureRequest) -> AsyncIterator[ReplayMemory]:
    """Each of the two memories, for two requests a minute."""
    if request.param == "local":
        yield LocalReplayMemory(per_minute=2, clock=time.monotonic)
    else:
        url, _ = request.getfixturevalue("redis")
        async with opened(RedisReplayMemory(url, per_minute=2)) as memory:
            yield memory


async def test_only_what_is_let_in_counts(two_a_minute: ReplayMemory) -> None:
    """Asking, and a nonce that was used before, take nothing from a device's share; each device has its own."""
    for _ in range(5):
        await two_a_minute.check_rate("door-7")
    assert [await two_a_minute.record(device_id="door-7", nonce="same") for _ in range(3)] == [True, False, False]
    assert await two_a_minute.record(device_id="door-7", nonce="second")
    for nonce in ("third", "same"):
        with pytest.raises(RateExceeded, match="door-7 may make 2 requests a minute; try again in 60 s"):
            await two_a_minute.record(device_id="door-7", nonce=nonce)
    assert await two_a_minute.record(device_id="other", nonce="third")


async def test_many_at_once_don_t_exceed_the_rate(two_a_minute: ReplayMemory) -> None:
    """Though each was told before that there is room."""
    await two_a_minute.check_rate("door-7")
    asked = (two_a_minute.record(device_id="door-7", nonce=f"nonce-{number}") for number in range(20))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(map(str, answers), key=len)[:2] == ["True", "True"]
    assert sum(isinstance(answer, RateExceeded) for answer in answers) == 18


async def test_zero_is_no_limit() -> None:
    memory = LocalReplayMemory(per_minute=0, clock=Clock())
    for number in range(1000):
        await memory.check_rate("door-7")
        assert await memory.record(device_id="door-7", nonce=f"nonce-{number}")


@pytest.mark.process
async def test_replicas_share_the_rate(
    redis: tuple[str, int], start: Start, settings: Settings, tmp_path: Path
) -> None:
    """Three requests a minute are three of both services together; without Redis each would let in three."""
    path = devices_file(tmp_path / "devices.toml")
    for url, expected in ((redis[0], [0, 0, 0, 1004]), (None, [0, 0, 0, 0])):
        ports = []
        for number in range(2):
            folder = tmp_path / f"{len(expected)}-{url is None}-{number}"
            each = await start(replace(settings, data=folder, devices=path, nonces_url=url, device_rate=3))
            ports.append(each.port or 0)
        codes = [
            await code(ports[number % 2], signed("GET", "/get_registration_face", device="screen"))
            for number in range(4)
        ]
        assert codes == expected
        assert await code(ports[0], signed("GET", "/get_registration_face")) == 0


@pytest.mark.process
@pytest.mark.slow
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


@pytest.mark.process
@pytest.mark.slow
async def test_a_redis_that_is_away(
    tmp_path: Path, start: Start, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is let in that can't be checked, stopped or gone; when it is back, so is the service."""
    monkeypatch.setattr(replay, "_REDIS_TIMEOUT_S", 0.2)
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
    memory = make_replay_memory(f"unix://{tmp_path}/nobody", per_minute=0)
    with pytest.raises(NoncesUnavailable, match="FACE_NONCES_URL"):
        await memory.open()
    await memory.close()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(InvalidSettings, match=r"pip install .face-service\[redis\]"):
        make_replay_memory("redis://localhost", per_minute=0)


@pytest.mark.process
async def test_a_redis_whose_clock_was_set_back(redis: tuple[str, int]) -> None:
    """Nobody waits until the former time comes again, and no nonce passes twice."""
    async with opened(RedisReplayMemory(redis[0], per_minute=2)) as memory:
        ahead = time.time() + 3600
        await memory._redis.zadd("face:nonces:door-7", {"one": ahead, "two": ahead + 1})
        with pytest.raises(RateExceeded, match=r"again in (59|60) s"):
            await memory.record(device_id="door-7", nonce="three")
    async with opened(RedisReplayMemory(redis[0], per_minute=0)) as memory:
        await memory._redis.zadd("face:nonces:door-7", {"one": ahead})
        assert not await memory.record(device_id="door-7", nonce="one")
        assert await memory.record(device_id="door-7", nonce="two")
