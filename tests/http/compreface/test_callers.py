"""Who may what through CompreFace's API: every operation, asked for with keys that may and with those that may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytest_asyncio

from scripts.device_client import signed_headers
from service.devices.operations import OPERATIONS
from service.http import routes
from service.http.compreface import table
from service.http.compreface.operations import Operation
from service.http.keys import CURRENT
from service.settings import Settings
from tests.conftest import MODELS, Start
from tests.http.compreface.conftest import FACES, RECOGNIZE, SUBJECTS, CompreFace, base64_of
from tests.support.device import Client
from tests.support.keys import CONSOLE, EVERYTHING, KEYS, LOST, NOBODYS, READER, VISITORS, bearing, digest, keys_file
from tests.support.signing import DEVICES, SECRET, devices_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL_BUT = {word: f"fsk_{number}{'-' * 42}" for number, word in enumerate(OPERATIONS)}
"""A key for each operation that opens all others."""
TWO, GONE = f"fsk_{'2' * 43}", f"fsk_{'3' * 43}"
"""Keys that are limited to two galleries, and to one that nobody made."""
IMAGE_ID = "00000000-0000-0000-0000-00007fffffff"


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A service with devices and keys of every sort."""
    folder = tmp_path_factory.mktemp("callers")
    keys = KEYS + "".join(
        f'[all-but-{word}]\nsha256 = "{digest(key)}"\n'
        f"operations = {json.dumps([each for each in OPERATIONS if each != word])}\n"
        for word, key in ALL_BUT.items()
    )
    for name, key, galleries in (("two", TWO, ["visitors", "staff"]), ("gone", GONE, ["gone"])):
        keys += f'[{name}]\nsha256 = "{digest(key)}"\noperations = {EVERYTHING}\ngalleries = {json.dumps(galleries)}\n'
    return Settings(
        data=folder / "data",
        model_dir=MODELS,
        model="casia-webface",
        devices=devices_file(folder / "devices.toml", DEVICES),
        keys=keys_file(folder / "keys.toml", keys),
        compreface=True,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def visitors(service: Client) -> str:
    """A second gallery, made."""
    await service.app[CURRENT].opened.galleries.create("visitors")
    return "visitors"


@pytest.fixture
def photo(portraits: dict[str, bytes]) -> bytes:
    return portraits["obama"]


each_operation = pytest.mark.parametrize("operation", table.OPERATIONS, ids=lambda each: f"{each.method} {each.path}")


async def answered(
    service: Client, operation: Operation, photo: bytes, key: str | None, headers: dict[str, str] | None = None
) -> tuple[int, int | None]:
    """The status of a good request with that key, None for none, and the number where it failed."""
    path = operation.path.format(image_id=IMAGE_ID, remark="nobody", api_key=key or "")
    query = "?subject=Ann" if path == FACES else ""
    body: object = {name: base64_of(photo) for name in ("file", "source_image", "target_image")} | {"subject": "Bob"}
    if operation.path == routes.COMPREFACE_DELETION:
        body = [IMAGE_ID]
    all_headers = {**({} if key is None else {"x-api-key": key}), **(headers or {})}
    sent = None if operation.method in {"GET", "DELETE"} else body
    async with service.request(operation.method, path + query, json=sent, headers=all_headers) as response:
        told = await response.read()
        return response.status, json.loads(told)["code"] if response.status >= 400 else None


class TestOperations:
    @each_operation
    async def test_nobody_comes_in_without_a_key(self, service: Client, operation: Operation, photo: bytes) -> None:
        """Nor with one that isn't known or is disabled, in another header, or by a device's signature."""
        static = operation.path == routes.COMPREFACE_STATIC_IMAGE
        if not static:
            assert await answered(service, operation, photo, None) == (400, 20)
            assert await answered(service, operation, photo, None, bearing(CONSOLE)) == (400, 20)
            path = operation.path.format(image_id=IMAGE_ID, remark="nobody")
            signed = signed_headers("door-7", SECRET, operation.method, path)
            assert await answered(service, operation, photo, None, signed) == (400, 20)
        for wrong in (NOBODYS, LOST, CONSOLE[:-1], f"{CONSOLE}x", digest(CONSOLE), "00000000-0000-0000-0000-00000000"):
            assert await answered(service, operation, photo, wrong) == (404, 10), wrong

    @each_operation
    async def test_who_may_everything_else_is_denied(self, service: Client, operation: Operation, photo: bytes) -> None:
        assert await answered(service, operation, photo, ALL_BUT[operation.needs]) == (403, 10)

    @each_operation
    async def test_who_may_is_let_in(self, service: Client, operation: Operation, photo: bytes) -> None:
        """What it says of an example or a subject, it looked for."""
        status, number = await answered(service, operation, photo, CONSOLE)
        assert (status, number) == (operation.status, None) or (status, number) in {(404, 42), (404, 44)}

    @each_operation
    async def test_other_galleries_are_denied(self, service: Client, operation: Operation, photo: bytes) -> None:
        """To a key for several without `default` among them; one that nobody made is not there."""
        about_none = operation.path in {routes.COMPREFACE_DETECT, routes.COMPREFACE_VERIFY}
        expected = [(200, None)] * 2 if about_none else [(403, 10), (404, 10)]
        assert [await answered(service, operation, photo, key) for key in (TWO, GONE)] == expected

    async def test_two_keys_are_none(self, service: Client) -> None:
        headers = [("x-api-key", CONSOLE), ("x-api-key", CONSOLE)]
        async with service.get(SUBJECTS, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (404, 10)

    async def test_every_operation_is_in_the_tables(self, service: Client) -> None:
        """And every path of the application's that is CompreFace's."""
        routed = {
            (route.method, route.resource.canonical)
            for route in service.app.router.routes()
            if route.resource is not None and routes.is_compreface_path(route.resource.canonical)
        }
        assert routed == set(table.NEEDS)
        assert {path for _, path in routed} == routes.COMPREFACE_PATHS


class TestGalleries:
    async def test_a_key_for_one_gallery_uses_that_one(self, service: Client, portraits: dict[str, bytes]) -> None:
        """Every operation, and nobody else sees its examples; other keys use `default`."""
        visitor, console = CompreFace(service, VISITORS), CompreFace(service, CONSOLE)
        await console.ask("DELETE", FACES)
        image_id = await visitor.add(portraits["obama"], "Guest")
        assert await visitor.subjects() == ["Guest"]
        assert await console.subjects() == await CompreFace(service, READER).subjects() == []
        [face] = (await visitor.about(portraits["obama2"], RECOGNIZE))["result"]
        assert face["subjects"][0]["subject"] == "Guest"
        [face] = (await console.about(portraits["obama2"], RECOGNIZE))["result"]
        assert face["subjects"] == []
        assert await console.ask("GET", f"/api/v1/static/{CONSOLE}/images/{image_id}") == b""
        assert await visitor.ask("GET", f"/api/v1/static/{VISITORS}/images/{image_id}") != b""
        await console.fails(404, 44, "DELETE", f"{FACES}/{image_id}")
        assert await console.ask("POST", f"{FACES}/delete", json=[image_id]) == []
        assert await console.ask("DELETE", FACES) == {"deleted": 0}
        assert await visitor.ask("DELETE", SUBJECTS) == {"deleted": 1}


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
async def test_with_devices_alone_nobody_comes_in(start: Start, tmp_path: Path) -> None:
    """A service that asks who is there stays closed where it has no file of keys."""
    client = await start(
        Settings(
            data=tmp_path / "data",
            model_dir=MODELS,
            model="casia-webface",
            devices=devices_file(tmp_path / "devices.toml", DEVICES),
            compreface=True,
        )
    )
    for key in ("", "any", CONSOLE):
        await CompreFace(client, key).fails(400, 20, "GET", SUBJECTS)
    await CompreFace(client, "any").fails(400, 20, "GET", f"/api/v1/static/any/images/{IMAGE_ID}")
