"""Export and import where something goes wrong: readers that stop, galleries that go, keys for some galleries only."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from tests.conftest import MODELS, running
from tests.http.rest_api.conftest import Caller
from tests.support.device import Client
from tests.support.keys import CONSOLE, VISITORS, bearing, keys_file
from tests.support.stored_faces import embedding, face

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

FACES = 1500
PICTURE = "cGlj" * 2000

ALL: dict[str, Any] = {"headers": bearing(CONSOLE)}
SOME: dict[str, Any] = {"headers": bearing(VISITORS)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def many(tmp_path_factory: pytest.TempPathFactory, files: ModelFiles) -> AsyncIterator[Client]:
    """A service with keys and more faces than fit into the buffers of a connection, a third of them `visitors`."""
    folder = tmp_path_factory.mktemp("many")
    store = EdgeStore(folder / "gallery")
    await store.open()
    await store.bind(files.contract)
    await store.create_gallery("visitors", datetime(2026, 1, 1, tzinfo=UTC))
    faces = [face(n, picture=PICTURE, gallery="default" if n % 3 else "visitors") for n in range(1, FACES + 1)]
    for start in range(0, FACES, 250):
        await store.add_many([(each, embedding(each.face_id)) for each in faces[start : start + 250]])
    await store.close()
    keys = keys_file(folder / "keys.toml")
    async with running(Settings(data=folder, model_dir=MODELS, model="casia-webface", keys=keys)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def caller(many: Client) -> Caller:
    """A client of that service."""
    return Caller(many)


async def numbers(caller: Caller, path: str = "/v1/export", key: str = CONSOLE) -> set[int]:
    """The faces of an export, which must be whole."""
    lines = (await caller.ask("GET", path, 200, headers=bearing(key))).splitlines()
    assert json.loads(lines[-1])["end"]["count"] == len(lines) - 2
    return {json.loads(line)["face_id"] for line in lines[1:-1]}


async def test_a_key_for_one_gallery(caller: Caller) -> None:
    """It exports that one only, and imports into no other, whatever the archive says."""
    mine = await numbers(caller, "/v1/export?gallery=visitors", VISITORS)
    assert mine == set(range(3, FACES + 1, 3))
    for path in ("/v1/export", "/v1/export?gallery=default"):
        await caller.fails(403, "operation_denied", "GET", path, **SOME)
    whole = await caller.ask("GET", "/v1/export", 200, **ALL)
    for path in ("/v1/import", "/v1/import?gallery=default"):
        await caller.fails(403, "operation_denied", "POST", path, data=io.BytesIO(whole), **SOME)
    head, first, *_ = whole.splitlines(keepends=True)
    await caller.ask("DELETE", f"/v1/faces/{json.loads(first)['face_id']}", 204, **ALL)
    said = await caller.fails(422, "unusable_archive", "POST", "/v1/import?gallery=visitors", data=head + first, **SOME)
    assert "1 faces were added" in said
    assert await numbers(caller, "/v1/export?gallery=visitors", VISITORS) == mine | {1}
    await caller.ask("DELETE", "/v1/faces/1?gallery=visitors", 204, **SOME)
    await caller.fails(422, "unusable_archive", "POST", "/v1/import", data=head + first, **ALL)
    assert await numbers(caller) == set(range(1, FACES + 1))


async def test_a_gallery_that_is_not_there(caller: Caller) -> None:
    """Neither is exported, nor made by an import into it."""
    await caller.fails(404, "unknown_gallery", "GET", "/v1/export?gallery=nobodys", **ALL)
    await caller.fails(404, "unknown_gallery", "POST", "/v1/import?gallery=nobodys", data=b"", **ALL)


async def test_a_gallery_that_is_removed_during_an_import(caller: Caller) -> None:
    """The importer is told, and nothing is left behind."""
    whole = await caller.ask("GET", "/v1/export?gallery=visitors", 200, **ALL)
    lines = [line.replace(b'"face_id": ', b'"face_id": 1000') for line in whole.splitlines(keepends=True)[:400]]
    await caller.ask("PUT", "/v1/galleries/brief", 201, **ALL)

    async def body() -> AsyncIterator[bytes]:
        yield b"".join(lines[:300])
        while (await caller.ask("GET", "/v1/stats?gallery=brief", 200, **ALL))["faces"] == 0:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
        await caller.ask("DELETE", "/v1/galleries/brief", 204, **ALL)
        yield b"".join(lines[300:])

    await caller.fails(404, "unknown_gallery", "POST", "/v1/import?gallery=brief", data=body(), **ALL)
    assert await numbers(caller) == set(range(1, FACES + 1))


async def test_a_reader_that_leaves(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """No trace but a line of the log, and no export that goes on for nobody."""
    caplog.set_level(logging.INFO)
    async with caller.http.get("/v1/export", **ALL) as response:
        await response.content.readany()
        response.close()
    async with asyncio.timeout(60):
        while "cut_off" not in [getattr(each, "reason", "") for each in caplog.records]:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
    assert not [each for each in caplog.records if each.exc_info or each.levelname == "ERROR"]
    assert len(await numbers(caller)) == FACES


async def test_a_sender_that_leaves_or_stops(caller: Caller, many: Client) -> None:
    """What came whole is kept, half a face is not, and the service goes on."""
    whole = await caller.ask("GET", "/v1/export?gallery=visitors", 200, **ALL)
    lines = whole.splitlines(keepends=True)
    for line in lines[1:4]:
        await caller.ask("DELETE", f"/v1/faces/{json.loads(line)['face_id']}?gallery=visitors", 204, **ALL)
    assert many.server is not None
    assert many.port is not None
    _, writer = await asyncio.open_connection("127.0.0.1", many.port)
    head = f"POST /v1/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CONSOLE}\r\n"
    writer.write(f"{head}Content-Length: {len(whole)}\r\n\r\n".encode() + b"".join(lines[:3]) + lines[3][:100])
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.close()
    async with asyncio.timeout(60):
        while (await caller.ask("GET", "/v1/stats?gallery=visitors", 200, **ALL))["faces"] != FACES // 3 - 1:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
    assert (await caller.ask("POST", "/v1/import", 200, data=io.BytesIO(whole), **ALL))["added"] == 1


async def test_bodies_that_are_no_archive(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Each gets its sentence, none a 500."""
    head = (await caller.ask("GET", "/v1/export?gallery=visitors", 200, **ALL)).splitlines(keepends=True)[0]
    for body in (
        portraits["obama"],
        b"[" * 100_000 + b"\n",
        b"{}\n",
        b"\n",
        b"\0" * 1000 + b"\n",
        b"\xff\xfe\n",
        head * 2,
        head + b'{"end": 1}\n',
        head + b"9" * 10_000 + b"\n",
        head + b'{"a":' * 100_000 + b"\n",
        head + b"x" * (17 * 2**20),
    ):
        assert "line" in await caller.fails(422, "unusable_archive", "POST", "/v1/import", data=io.BytesIO(body), **ALL)
    assert len(await numbers(caller)) == FACES
