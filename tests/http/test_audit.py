"""The audit trail of a running service: who was recognised or changed what, by which caller, through a kill too."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from service.audit.events import Selection
from service.audit.trail_file import TrailFile
from service.errors import AuditUnavailable
from service.http.keys import CURRENT
from service.settings import Settings
from service.timings import Timings
from tests.conftest import MODELS, running
from tests.http.rest_api.conftest import Caller
from tests.support.device import Client, Device, form, register_path
from tests.support.keys import CONSOLE, VISITORS, bearing, keys_file
from tests.support.processes import launch, listening
from tests.support.signing import answer, devices_file, signed

pytestmark = pytest.mark.slow

ZOE = "Zoë Quux-77"


@pytest.fixture
def trail_settings(tmp_path: Path) -> Settings:
    return Settings(
        data=tmp_path / "data",
        model_dir=MODELS,
        model="casia-webface",
        threshold="auto",
        audit=tmp_path / "trail" / "audit.sqlite",
    )


@pytest.fixture
async def client(trail_settings: Settings) -> AsyncIterator[Client]:
    async with running(trail_settings) as client:
        yield client


async def events(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await Caller(client).ask("GET", "/v1/events", 200))["events"]
    return found


async def test_the_device_paths(client: Client, portraits: dict[str, bytes]) -> None:
    """Who was registered, who was recognised and how surely, who wasn't, and what failed; lists aren't written down."""
    device = Device(client)
    await device.register(portraits["obama"], ZOE)
    await device.recognise(portraits["obama2"])
    await device.recognise(portraits["biden"])
    await device.faces()
    async with client.post(register_path("x"), data=form(b"no photo")) as response:
        assert (await response.json())["code"] == 1004
    found = await events(client)
    assert [(each["operation"], each["outcome"], len(each["subjects"])) for each in found] == [
        ("register", "ok", 1),
        ("recognise", "ok", 1),
        ("recognise", "ok", 0),
        ("register", "unsupported_format", 0),
    ]
    registered, recognised = found[0]["subjects"][0], found[1]["subjects"][0]
    assert (recognised["remark"], recognised["face_id"]) == (ZOE, registered["face_id"])
    assert 0 < recognised["score"] <= 1
    assert {each["caller"] for each in found} == {"anybody"}
    assert {each["client"] for each in found} == {"127.0.0.1"}
    assert [each["id"] for each in found] == [1, 2, 3, 4]
    assert "picture" not in str(found)


async def test_who_was_deleted_leaves_no_name(
    client: Client, trail_settings: Settings, portraits: dict[str, bytes]
) -> None:
    """Neither in earlier events nor in that of the deletion: by face, by person (renamed), with the gallery."""
    caller = Caller(client)
    await caller.ask("PUT", "/v1/galleries/staff", 201)
    [face] = await caller.register(portraits["obama"], "remark=Zoe-by-face")
    await caller.register(portraits["biden"], "remark=Zoe-by-name")
    await caller.register(portraits["obama"], "gallery=staff&remark=Zoe-by-gallery")
    await caller.ask("PATCH", "/v1/people/Zoe-by-name", 200, json={"remark": "Zoe-renamed"})
    await caller.about(portraits["biden"], "/v1/identify")
    await caller.ask("DELETE", f"/v1/faces/{face['face_id']}", 204)
    await caller.ask("DELETE", "/v1/people/Zoe-renamed", 200)
    await caller.ask("DELETE", "/v1/galleries/staff", 204)
    for event in await events(client):
        assert all(each["erased"] for each in event["subjects"]), event
    assert trail_settings.audit is not None
    raw = b"".join(each.read_bytes() for each in trail_settings.audit.parent.iterdir())
    assert b"Zoe-" not in raw


async def test_all_faces_and_those_of_a_device_leave_no_names(
    client: Client, trail_settings: Settings, portraits: dict[str, bytes]
) -> None:
    """Those of other devices keep theirs until all go."""
    caller, gallery = Caller(client), await client.app[CURRENT].opened.galleries.of("default")
    for device, person in (("door-7", "obama"), ("door-8", "biden")):
        face_id = await gallery.enroll(portraits[person], f"Zoe of {device}", Timings(), device_id=device)
        await caller.ask("PATCH", f"/v1/faces/{face_id}", 200, json={"metadata": {"a": 1}})
    await caller.about(portraits["obama"], "/v1/identify")
    await caller.about(portraits["biden"], "/v1/identify")
    assert trail_settings.audit is not None
    folder = trail_settings.audit.parent
    for query, gone, kept in (("device=door-7", b"door-7", b"door-8"), ("confirm=default", b"door-8", b"/v1/faces")):
        assert (await caller.ask("DELETE", f"/v1/faces?{query}", 200))["removed"] == 1
        await events(client)
        raw = b"".join(each.read_bytes() for each in folder.iterdir())
        assert b"Zoe of " + gone not in raw
        assert kept in raw
    assert {each["outcome"] for each in await events(client)} == {"ok"}


async def test_a_deletion_that_is_repeated_erases_what_is_left(
    client: Client, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was killed between the deletion and the erasing answered nothing, so the client asks again."""
    caller = Caller(client)
    await caller.register(portraits["obama"], "remark=Zoe")
    erase = TrailFile.erase
    monkeypatch.setattr(TrailFile, "erase", lambda *_: None)
    await caller.ask("DELETE", "/v1/people/Zoe", 200)
    monkeypatch.setattr(TrailFile, "erase", erase)
    assert not (await events(client))[0]["subjects"][0]["erased"]
    await caller.fails(404, "unknown_person", "DELETE", "/v1/people/Zoe")
    found = await events(client)
    assert [(each["operation"], each["outcome"]) for each in found] == [
        *(("register", "ok"), ("delete", "ok"), ("delete", "unknown_person")),
    ]
    assert [each["subjects"][0]["remark"] for each in found] == [None, None, None]


async def test_callers_by_their_names(tmp_path: Path, trail_settings: Settings, portraits: dict[str, bytes]) -> None:
    """Devices and keys; who was refused did nothing. A key for some galleries sees what happened in those."""
    devices, keys = devices_file(tmp_path / "devices.toml"), keys_file(tmp_path / "keys.toml")
    async with running(replace(trail_settings, devices=devices, keys=keys)) as client:
        caller, console, port = Caller(client), {"headers": bearing(CONSOLE)}, client.port
        assert port is not None
        await caller.ask("PUT", "/v1/galleries/visitors", 201, **console)
        request = signed("POST", "/registration_face", portraits["obama"], query={"remark": "Zoe"})
        assert (await answer(port, request.wire()))["code"] == 0
        forged = request.having("X-Signature", "0" * 64)
        assert (await answer(port, forged.wire()))["code"] == 1002
        photo = {"data": portraits["biden"], "headers": {**bearing(VISITORS), "Content-Type": "image/jpeg"}}
        await caller.ask("POST", "/v1/identify?gallery=visitors", 200, **photo)
        found = (await caller.ask("GET", "/v1/events", 200, **console))["events"]
        assert [(each["caller"], each["operation"], each["gallery"]) for each in found] == [
            ("key:console", "galleries", "visitors"),
            ("door-7", "register", "default"),
            ("key:visitors", "recognise", "visitors"),
        ]
        theirs = {"headers": bearing(VISITORS)}
        found = (await caller.ask("GET", "/v1/events?gallery=visitors", 200, **theirs))["events"]
        assert [each["id"] for each in found] == [1, 3]
        for path in ("/v1/events", "/v1/events?gallery=default"):
            await caller.fails(403, "operation_denied", "GET", path, **theirs)
        found = (await caller.ask("GET", "/v1/events?caller=door-7&limit=1", 200, **console))["events"]
        assert [each["caller"] for each in found] == ["door-7"]


async def test_pages_of_the_trail(client: Client, portraits: dict[str, bytes]) -> None:
    """By `next_cursor` to the end, and from then on by the `id` of the last event."""
    caller = Caller(client)
    for n in range(3):
        await caller.register(portraits["obama"], f"remark=Zoe-{n}")
    first = await caller.ask("GET", "/v1/events?limit=2", 200)
    assert ([each["id"] for each in first["events"]], first["next_cursor"]) == ([1, 2], "2")
    second = await caller.ask("GET", "/v1/events?limit=2&cursor=2", 200)
    assert ([each["id"] for each in second["events"]], second["next_cursor"]) == ([3], None)
    assert (await caller.ask("GET", "/v1/events?cursor=3", 200))["events"] == []
    for wrong in ("cursor=x", "cursor=-1", f"cursor={'9' * 19}", "limit=0", "caller=%20", "remark="):
        await caller.fails(400, "invalid_request", "GET", f"/v1/events?{wrong}")


async def test_without_a_trail_nothing_is_written(start: Any, settings: Settings, portraits: dict[str, bytes]) -> None:
    client = await start(settings)
    await Device(client).register(portraits["obama"], ZOE)
    assert await Caller(client).ask("GET", "/v1/events", 200) == {
        "recording": False,
        "events": [],
        "next_cursor": None,
    }


async def test_where_nothing_can_be_written_nothing_is_changed(
    client: Client, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doors go on to open, and the log tells what the trail lacks."""
    device = Device(client)
    await device.register(portraits["obama"], ZOE)
    assert [each["outcome"] for each in await events(client)] == ["ok"]  # and it is written
    write = TrailFile.write

    def full(*_: object) -> None:
        raise AuditUnavailable("The disk is full.")

    monkeypatch.setattr(TrailFile, "write", full)
    assert [each["remark"] for each in await device.recognise(portraits["obama2"])] == [ZOE]
    await asyncio.sleep(0.1)
    async with client.post(register_path("x"), data=form(portraits["biden"])) as response:
        assert "audit trail" in (await response.json())["detail"]
    async with client.delete("/v1/people/nobody") as response:
        assert (response.status, (await response.json())["code"]) == (503, "audit_unavailable")
    assert len(await device.faces()) == 1
    monkeypatch.setattr(TrailFile, "write", write)
    await device.register(portraits["biden"], "x")
    assert [each["outcome"] for each in await events(client)] == ["ok", "ok"]


@pytest.mark.process
async def test_a_kill_loses_no_change_that_was_answered(
    tmp_path: Path, trail_settings: Settings, portraits: dict[str, bytes]
) -> None:
    """However soon after the answer it comes."""
    environ = {
        "FACE_DATA": str(trail_settings.data),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": "casia-webface",
        "FACE_AUDIT": str(trail_settings.audit),
    }
    for n in range(3):
        service = await listening(await launch(environ))
        try:
            async with ClientSession(service.url) as session:
                await Device(session).register(portraits["obama"], f"Zoe-{n}")
                service.signal(signal.SIGKILL)
        finally:
            await service.kill()
    assert trail_settings.audit is not None
    file = TrailFile(trail_settings.audit)
    found = file.page(Selection(limit=1000), datetime(2100, 1, 1, tzinfo=UTC))
    file.close()
    assert [each.operation for each in found] == ["register"] * 3
    assert [each.subjects[0].remark for each in found] == ["Zoe-0", "Zoe-1", "Zoe-2"]
    assert {each.outcome for each in found} <= {"ok", None}


async def test_a_recognition_waits_for_no_disk(
    client: Client, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for one that hangs; a change does, since its event must not be lost."""
    device = Device(client)
    await device.register(portraits["obama"], ZOE)
    write, hangs = TrailFile.write, threading.Event()

    def hang(*arguments: Any) -> None:
        hangs.wait(60)
        write(*arguments)

    monkeypatch.setattr(TrailFile, "write", hang)
    try:
        async with asyncio.timeout(20):
            assert [each["remark"] for each in await device.recognise(portraits["obama2"])] == [ZOE]
        registering = asyncio.create_task(device.register(portraits["biden"], "x"))
        await asyncio.wait([registering], timeout=1)
        assert not registering.done()
    finally:
        hangs.set()
    await registering
    assert [each["operation"] for each in await events(client)] == ["register", "recognise", "register"]
