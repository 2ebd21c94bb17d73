"""Faults of what keeps the faces, seen from the door: nothing that was answered is lost, and all goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from service.http import health
from service.settings import Settings
from tests.conftest import Start
from tests.support.device import Client, Device, form, register_path, variants
from tests.support.disks import small_disk, take_the_rest
from tests.support.qdrant import Qdrant

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("probed_each_time")]

SIZE_MB = 300


@pytest.fixture
def probed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No success counts for the next question."""
    monkeypatch.setattr(health, "LATELY_S", 0.0)


async def readiness(client: Client) -> tuple[int, str]:
    async with client.get("/readyz") as response:
        return response.status, str((await response.json()).get("detail", ""))


async def until_so(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.1)


async def test_a_full_disk(tmp_path: Path, start: Start, settings: Settings, portraits: dict[str, bytes]) -> None:
    """Registrations are refused in a sentence, recognitions and deletions go on; once there is room, all does."""
    with small_disk(tmp_path / "disk", SIZE_MB) as disk:
        client = await start(replace(settings, data=disk / "data"))
        device = Device(client)
        await device.register(portraits["obama"], "obama")
        await device.register(portraits["biden"], "biden")
        another = take_the_rest(disk)
        refused = await device.fails(1004, "POST", register_path("late"), data=form(portraits["astronaut"]))
        assert "disk is full" in refused
        code, detail = await readiness(client)
        assert (code, "disk is full" in detail) == (503, True)
        assert (await device.recognise(portraits["obama2"]))[0]["remark"] == "obama"
        biden = next(each["face_id"] for each in await device.faces() if each["remark"] == "biden")
        await device.delete(biden)
        assert await device.remarks() == ["obama"]
        another.unlink()
        await device.register(portraits["astronaut"], "late")
        assert (await readiness(client))[0] == 200
        assert await device.remarks() == ["obama", "late"]


async def test_a_qdrant_server_that_is_away_for_a_while(
    start: Start, settings: Settings, portraits: dict[str, bytes]
) -> None:
    """A door registers all the time: each answered face is there afterwards, once, and readiness says what is."""
    server = Qdrant()
    await server.start()
    client = await start(replace(settings, qdrant_url=server.url, qdrant_grpc_port=server.port))
    device, answered = Device(client), set[str]()

    async def register_all() -> None:
        for number, photo in enumerate(variants(portraits["obama"], 1000)):
            answer = await device.ask("POST", register_path(f"{number}"), data=form(photo))
            assert answer["code"] in {0, 1004}, answer
            if answer["code"] == 0:
                answered.add(f"{number}")

    async def is_ready() -> bool:
        return (await readiness(client))[0] == 200

    async def isnt_ready() -> bool:
        return not await is_ready()

    async def has_more_than(count: int) -> bool:
        return len(answered) > count

    registering = asyncio.create_task(register_all())
    try:
        await until_so(lambda: has_more_than(2))
        await server.stop()
        await until_so(isnt_ready)
        assert not registering.done(), registering.result()
        await server.start()
        await until_so(is_ready)
        before = len(answered)
        await until_so(lambda: has_more_than(before + 2))
    finally:
        registering.cancel()
        await asyncio.wait([registering])
    found = await device.remarks()
    assert answered <= set(found)
    assert len(found) == len(set(found))
    await server.stop()
