"""scripts/copy_compreface.py: the examples of one CompreFace, or of what speaks like one, come into another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts import copy_compreface
from service.http.keys import CURRENT
from service.settings import Settings
from tests.conftest import MODELS
from tests.http.compreface.conftest import FACES, RECOGNIZE, CompreFace
from tests.support.device import Client
from tests.support.keys import CONSOLE, READER, VISITORS, keys_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = "Zoë & co / 張 😀"
UUIDS = [f"6b135f5b-a365-4522-b1f1-{number:012}" for number in range(5)]


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("copying")
    return Settings(
        data=folder / "data",
        model_dir=MODELS,
        model="casia-webface",
        keys=keys_file(folder / "keys.toml"),
        compreface=True,
    )


@pytest_asyncio.fixture(loop_scope="module")
async def new(service: Client) -> CompreFace:
    """A client of the service's default gallery, which is empty."""
    client = CompreFace(service, CONSOLE)
    await client.ask("DELETE", FACES)
    return client


async def copied(old: str, new: CompreFace, folder: Path, *, old_key: str = "", new_key: str = CONSOLE) -> int:
    """The exit status of the program."""
    for name, key in (("old", old_key), ("new", new_key)):
        (folder / name).write_text(f"{key}\n", "utf-8")
    keys = [f"--{name}-key-file={folder / name}" for name in ("old", "new")]
    return await asyncio.to_thread(copy_compreface.main, [old, str(new.http.make_url("")), *keys])


async def test_examples_come_from_another_service(
    new: CompreFace, portraits: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of them; a second time adds nothing."""
    await new.http.app[CURRENT].opened.galleries.create("visitors")
    old = CompreFace(new.http, VISITORS)
    names = {"obama": ODD, "obama2": ODD, "biden": "Bob"}
    for name, subject in names.items():
        await old.add(portraits[name], subject)
    monkeypatch.setattr(copy_compreface, "PAGE", 2)
    for _ in range(2):
        assert await copied(str(new.http.make_url("")), new, tmp_path, old_key=VISITORS) == 0
        assert sorted(each["subject"] for each in (await new.ask("GET", FACES))["faces"]) == ["Bob", ODD, ODD]
    [face] = (await new.about(portraits["obama3"], RECOGNIZE))["result"]
    assert face["subjects"][0]["subject"] == ODD


async def test_what_can_not_be_copied_is_told(
    new: CompreFace, portraits: dict[str, bytes], no_face: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photo that CompreFace has not kept, one without a face, and one that is none; the others are copied."""
    photos = dict(zip(UUIDS, (portraits["obama"], b"", no_face, b"no photo", portraits["biden"]), strict=True))

    async def page(request: web.Request) -> web.Response:
        assert request.headers["x-api-key"] == UUIDS[0]
        faces = [{"image_id": each, "subject": f"Ann {each[-1]}"} for each in UUIDS]
        return web.json_response({"faces": faces, "total_pages": 1})

    async def image(request: web.Request) -> web.Response:
        return web.Response(body=photos[request.match_info["image_id"]])

    old = web.Application()
    old.add_routes([web.get(FACES, page), web.get(f"{FACES}/{{image_id}}/img", image)])
    async with TestServer(old) as server:
        assert await copied(str(server.make_url("")), new, tmp_path, old_key=UUIDS[0]) == 1
    told = capsys.readouterr()
    assert told.out == "2 examples copied, 3 not.\n"
    assert [line.partition(":")[0] for line in told.err.splitlines()] == ["Ann 1", "Ann 2", "Ann 3"]
    assert sorted(await new.subjects()) == ["Ann 0", "Ann 4"]


async def test_it_stops_where_it_may_not(
    new: CompreFace, tmp_path: Path, capsys: pytest.CaptureFixture[str], portraits: dict[str, bytes]
) -> None:
    """And says why: a key that may only look, one that nobody knows, an address where nobody listens."""
    await new.add(portraits["obama"], "Ann")
    url = str(new.http.make_url(""))
    assert await copied(url, new, tmp_path, old_key=CONSOLE, new_key=READER) == 1
    assert "may not register" in capsys.readouterr().err
    assert await copied(url, new, tmp_path, old_key="unknown") == 1
    assert "no key" in capsys.readouterr().err
    assert await copied("http://127.0.0.1:1", new, tmp_path) == 1
    assert "Stopped after 0 examples" in capsys.readouterr().err
