"""Who may what: every operation and every gallery, asked for by callers who may and by those who may not."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from scripts.device_client import signed_headers
from service.devices.operations import DEVICE_OPERATIONS, OPERATIONS, OperationWord
from service.errors import OperationDenied
from service.http import routes
from service.http.callers import (
    ANYBODY,
    Caller,
    gallery_name,
    gallery_of,
    require_all_galleries,
    visible_galleries,
)
from service.http.keys import CALLER, CURRENT
from service.http.rest_api import table
from service.http.rest_api.openapi import document
from service.http.rest_api.operations import Operation
from service.settings import Settings
from service.timings import Timings
from service.values import DEFAULT_GALLERY, GalleryEntry
from tests.conftest import MODELS, Start
from tests.support.device import Client, Device, form, multipart, register_path
from tests.support.keys import CONSOLE, KEYS, LOST, NOBODYS, READER, VISITORS, bearing, digest, keys_file
from tests.support.signing import DEVICES, SECRET, devices_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/style.css", "/", "/console/{file}"}
"""Written out once more, so that nobody opens a path by a slip."""

ALL_BUT = {word: f"fsk_{number}{'-' * 42}" for number, word in enumerate(OPERATIONS)}
"""A key for each operation that opens all others."""


def all_but(word: str, words: Sequence[str]) -> str:
    """The other words, as the files have them."""
    return json.dumps([each for each in words if each != word])


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A service with devices and keys of every sort."""
    folder = tmp_path_factory.mktemp("callers")
    keys = KEYS + "".join(
        f'[all-but-{word}]\nsha256 = "{digest(key)}"\noperations = {all_but(word, OPERATIONS)}\n'
        for word, key in ALL_BUT.items()
    )
    devices = DEVICES + "".join(
        f'[all-but-{word}]\nsecrets = ["{SECRET}"]\noperations = {all_but(word, DEVICE_OPERATIONS)}\n'
        for word in DEVICE_OPERATIONS
    )
    devices += f'[lobby]\nsecrets = ["{SECRET}"]\ngallery = "visitors"\n'
    return Settings(
        data=folder / "data",
        model_dir=MODELS,
        model="casia-webface",
        devices=devices_file(folder / "devices.toml", devices),
        keys=keys_file(folder / "keys.toml", keys),
        compreface=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that would succeed, or say that there is no such face, person or gallery."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    async def by(self, service: Client, credentials: dict[str, str]) -> tuple[int, str]:
        """The status and the problem's code of the answer to that caller."""
        async with service.request(
            self.method,
            URL(self.target, encoded=True),
            data=self.body,
            headers={"Content-Type": "application/octet-stream", **self.headers, **credentials},
        ) as response:
            body = await response.read()
            problem = response.content_type == "application/problem+json"
            return response.status, json.loads(body)["code"] if problem else ""

    def signed(self, device: str, secret: str = SECRET) -> dict[str, str]:
        """The headers of that device's signature."""
        path, _, query = self.target.partition("?")
        return signed_headers(device, secret, self.method, path, query, self.body)


IMAGE = {"Content-Type": "image/jpeg"}
IN_JSON = {"Content-Type": "application/json"}
_EMBEDDING = json.dumps({"embedding": np.eye(512)[0].tolist()}).encode()


def ask(operation: Operation[Any], photo: bytes) -> Ask:
    """A good request for an operation."""
    two = json.dumps(dict.fromkeys(("image", "other_image"), base64.b64encode(photo).decode())).encode()
    batch = multipart(("remark", b"Zoe"), ("image", photo))
    query, headers, body = {
        "registerBatch": ("", batch["headers"], batch["data"]),
        "registerFaces": ("?remark=Zo%C3%AB", IMAGE, photo),
        "identify": ("", IMAGE, photo),
        "identifyEmbedding": ("", IN_JSON, _EMBEDDING),
        "verify": ("", IN_JSON, two),
        "detect": ("", IMAGE, photo),
        "embed": ("", IMAGE, photo),
        "changeFace": ("", IN_JSON, b'{"remark": "x"}'),
        "renamePerson": ("", IN_JSON, b'{"remark": "x"}'),
        "deleteFaces": ("?device=nowhere", {}, b""),
    }.get(operation.name, ("", {}, b""))
    gallery = {"showGallery": DEFAULT_GALLERY, "createGallery": "new"}.get(operation.name, "nowhere")
    target = operation.path.format(face_id=2147483647, remark="nobody", gallery=gallery) + query
    return Ask(method=operation.method, target=target, headers=headers, body=body)


ABOUT_NO_GALLERY = {"detect", "embed", "showModel"}
"""Operations that look at no gallery, so any will do."""
ABOUT_ALL_GALLERIES = {"listGalleries"}
"""Operations that tell of those galleries that the caller may use."""

each_operation = pytest.mark.parametrize("operation", table.OPERATIONS, ids=lambda each: str(each.name))


@pytest.fixture
def photo(portraits: dict[str, bytes]) -> bytes:
    return portraits["obama"]


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def visitors(service: Client) -> str:
    """A second gallery, made."""
    await service.app[CURRENT].opened.galleries.create("visitors")
    return "visitors"


class TestOperations:
    """Of /v1."""

    @each_operation
    async def test_nobody_comes_in_without_a_credential(
        self, service: Client, operation: Operation[Any], photo: bytes
    ) -> None:
        """Nor with one that isn't known, is disabled or isn't presented as it must be: each is 401 with its code."""
        request = ask(operation, photo)
        refused: dict[str, list[dict[str, str]]] = {
            "unauthenticated": [{}, {"X-Signature": "0" * 64}, {"Cookie": f"key={CONSOLE}"}],
            "unknown_key": [
                *(bearing(NOBODYS), bearing(LOST), bearing(""), bearing(CONSOLE[:-1]), bearing(f"{CONSOLE}x")),
                *(bearing(digest(CONSOLE)), bearing(f"{CONSOLE},{CONSOLE}"), bearing(f"{CONSOLE} x")),
                {"Authorization": CONSOLE},
                {"Authorization": f"Basic {base64.b64encode(CONSOLE.encode()).decode()}"},
            ],
            "unknown_device": [request.signed("nobody"), request.signed("stolen"), {"X-Device-Id": "../x"}],
            "bad_signature": [{"X-Device-Id": "door-7"}, request.signed("door-7", "0" * 64)],
        }
        for code, credentials in refused.items():
            for each in credentials:
                assert await request.by(service, each) == (401, code), each

    @each_operation
    async def test_who_may_everything_else_is_denied(
        self, service: Client, operation: Operation[Any], photo: bytes
    ) -> None:
        """A key, and a device, that may do all but this: 403."""
        request = ask(operation, photo)
        denied = [bearing(ALL_BUT[operation.needs])]
        if operation.needs in DEVICE_OPERATIONS:
            denied.append(request.signed(f"all-but-{operation.needs}"))
        else:
            denied.append(request.signed("door-7"))
        for each in denied:
            assert await request.by(service, each) == (403, "operation_denied"), each

    @each_operation
    async def test_other_galleries_are_denied(self, service: Client, operation: Operation[Any], photo: bytes) -> None:
        """A key for `visitors` alone does not open the default gallery, named or not."""
        request = ask(operation, photo)
        answer = await request.by(service, bearing(VISITORS))
        if operation.name in ABOUT_NO_GALLERY | ABOUT_ALL_GALLERIES:
            assert answer == (200, "")
        else:
            assert answer == (403, "operation_denied")

    @each_operation
    async def test_who_may_is_let_in(self, service: Client, operation: Operation[Any], photo: bytes) -> None:
        """By key and, where devices may do this, by signature; what it says of a face or an archive, it looked at."""
        request = ask(operation, photo)
        wanted = {(operation.status, ""), (operation.or_status, "")}
        wanted |= {(404, f"unknown_{what}") for what in ("face", "person", "gallery")}
        wanted |= {(422, "unusable_archive")}
        assert await request.by(service, bearing(CONSOLE)) in wanted
        assert await request.by(service, {"Authorization": f"bearer   {CONSOLE}"}) in wanted
        if operation.name == "listDevices":  # what others do concerns who may use all galleries, which no device may
            assert await request.by(service, request.signed("door-7")) == (403, "operation_denied")
        elif operation.needs in DEVICE_OPERATIONS:
            assert await request.by(service, request.signed("door-7")) in wanted

    async def test_every_operation_says_what_it_needs(self) -> None:
        """One that doesn't can't be made, and the document tells it as the role of each scheme."""
        with pytest.raises(TypeError, match="needs"):
            Operation(name="new", tag="new", method="GET", path="/v1/new", summary="")  # type: ignore[call-arg]
        described = document(table.OPERATIONS)
        schemes = described["components"]["securitySchemes"]
        for operation in table.OPERATIONS:
            security = described["paths"][operation.path][operation.method.lower()]["security"]
            assert {role for each in security for roles in each.values() for role in roles} == {operation.needs}
            assert {name for each in security for name in each} <= set(schemes)
            assert len(security) == (3 if operation.needs in DEVICE_OPERATIONS else 2)

    async def test_401_says_how(self, service: Client) -> None:
        """By WWW-Authenticate, as RFC 6750 has it."""
        async with service.get("/v1/faces") as response:
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="face-service"'
        async with service.get("/v1/faces", headers=bearing(NOBODYS)) as response:
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="face-service", error="invalid_token"'
        async with service.get("/v1/faces", headers=[("Authorization", f"Bearer {CONSOLE}")] * 2) as response:
            assert response.status == 401


class TestRoutes:
    async def test_all_but_the_open_ones_ask_who_is_there(self, service: Client) -> None:
        """Every route of the application, whoever added it; and what there isn't."""
        known = [(each.method, each.resource.canonical) for each in service.app.router.routes() if each.resource]
        assert {path for _, path in known} >= OPEN
        for method, path in [
            *known,
            ("POST", "/console"),
            ("PUT", "/v1/new"),
            ("GET", "/v1"),
            ("OPTIONS", "/v1/faces"),
            ("GET", "/api/v1"),
            ("PUT", "/api/v1/recognition/new"),
        ]:
            target = path.replace("{face_id}", "1").replace("{file}", "main.js")
            async with service.request(method, target) as response:
                body = await response.read()
                if path in OPEN:
                    assert (response.status, method in {"GET", "HEAD"}) == (200, True)
                elif target.startswith("/v1"):
                    assert (response.status, json.loads(body)["code"]) == (401, "unauthenticated")
                elif target.startswith("/api/v1"):
                    assert (response.status, json.loads(body)["code"]) == (400, 20)
                else:
                    assert json.loads(body)["code"] == 1003

    async def test_who_is_known_is_told_that_there_is_no_such_path(self, service: Client) -> None:
        assert await Ask(method="GET", target="/v1/new").by(service, bearing(READER)) == (404, "uri_not_found")
        assert await Ask(method="PUT", target="/v1/stats").by(service, bearing(READER)) == (405, "method_not_allowed")

    async def test_a_path_that_nobody_decided_about_is_nobodys(
        self, service: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also of /v1: an operation that the table doesn't have is denied to a key for everything."""
        needs: dict[tuple[str, str], OperationWord] = {}
        monkeypatch.setattr("service.http.authentication.NEEDS", needs)
        assert await Ask(method="GET", target="/v1/stats").by(service, bearing(CONSOLE)) == (403, "operation_denied")


class TestDevicePaths:
    async def test_keys_open_them_too(self, service: Client, photo: bytes) -> None:
        """For the same operations, and in the envelope; a remark may stand in the form, for nothing is signed."""
        async with service.get("/get_registration_face", headers=bearing(READER)) as response:
            assert (await response.json())["code"] == 0
        for key, said in ((READER, "key:reader may not recognise"), (LOST, "key:lost is disabled")):
            async with service.post("/recognition_face", data=form(photo), headers=bearing(key)) as response:
                answer = await response.json()
                assert answer["code"] == 1003
                assert said in answer["detail"]
        data = form(photo)
        data.add_field("remark", "Zoë")
        async with service.post("/registration_face", data=data, headers=bearing(CONSOLE)) as response:
            assert (await response.json())["code"] == 0

    async def test_a_device_with_a_gallery_uses_that_one_only(self, service: Client, photo: bytes) -> None:
        """On the device paths and below /v1; the default gallery doesn't have its faces."""
        await emptied(service)
        target = register_path("Ann")
        path, _, query = target.partition("?")
        headers = signed_headers("lobby", SECRET, "POST", path, query, photo)
        async with service.post(URL(target, encoded=True), data=form(photo), headers=headers) as response:
            assert (await response.json())["code"] == 0
        visitors = await service.app[CURRENT].opened.galleries.of("visitors")
        assert [(face.remark, face.device_id) async for face in visitors.list()] == [("Ann", "lobby")]
        default = await service.app[CURRENT].opened.galleries.of(DEFAULT_GALLERY)
        assert [face async for face in default.list()] == []
        stats = Ask(method="GET", target="/v1/stats")
        async with service.get("/v1/stats", headers=stats.signed("lobby")) as response:
            assert (await response.json())["faces"] == 1
        async with service.get("/v1/stats", headers=stats.signed("door-7")) as response:
            assert (await response.json())["faces"] == 0

    @pytest.mark.slow
    @pytest.mark.asyncio(loop_scope="function")
    async def test_with_keys_alone_they_need_a_key(self, start: Start, settings: Settings, tmp_path: Path) -> None:
        """Where there is no file of devices, a signature is nothing."""
        service = await start(
            Settings(
                data=settings.data,
                model_dir=MODELS,
                model="casia-webface",
                keys=keys_file(tmp_path / "keys.toml"),
            )
        )
        listing = Ask(method="GET", target="/get_registration_face")
        assert "send a key" in await Device(service).fails(1003, "GET", "/get_registration_face")
        await Device(service).fails(1003, "GET", "/get_registration_face", headers=listing.signed("door-7"))
        assert await Device(service).succeeds("GET", "/get_registration_face", headers=bearing(READER)) == {
            "all_face": []
        }
        assert await Ask(method="GET", target="/v1/faces").by(service, listing.signed("door-7")) == (
            401,
            "unauthenticated",
        )


async def emptied(service: Client) -> None:
    for entry in await service.app[CURRENT].opened.galleries.list():
        gallery = await service.app[CURRENT].opened.galleries.of(entry.name)
        for face in [face async for face in gallery.list()]:
            await gallery.remove(face.face_id, Timings())


class TestLog:
    async def test_the_log_has_the_keys_name_and_never_the_key(
        self, service: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Of a key that is known; who brings another one has no name."""
        caplog.set_level(logging.DEBUG)
        for key in (CONSOLE, LOST, NOBODYS):
            await Ask(method="GET", target="/v1/stats").by(service, bearing(key))
        lines = [vars(record) for record in caplog.records if record.message == "request"]
        assert [line.get("device_id") for line in lines] == ["key:console", "key:lost", None]
        assert [line["reason"] for line in lines] == ["ok", "unknown_key", "unknown_key"]
        for secret in (CONSOLE, LOST, NOBODYS, digest(CONSOLE)):
            assert not any(secret in str(vars(record)) for record in caplog.records)

    async def test_a_device_that_names_itself_like_a_key_is_none(
        self, service: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        """So nobody can put a key's name into the log."""
        caplog.set_level(logging.DEBUG)
        await Ask(method="GET", target="/v1/stats").by(service, {"X-Device-Id": "key:console"})
        assert [vars(record)["device_id"] for record in caplog.records if record.message == "request"] == ["?"]


def request_of(caller: Caller, app: web.Application | None = None) -> web.Request:
    request = make_mocked_request("GET", "/v1/faces", app=app)
    request[CALLER] = caller
    return request


class TestGalleries:
    """What handlers ask about their caller."""

    ONE = Caller(name="key:desk", operations=frozenset(OPERATIONS), galleries=frozenset({"visitors"}))
    DEVICE = Caller(name="lobby", operations=frozenset(), galleries=frozenset({"visitors"}), gallery="visitors")

    async def test_which_gallery_a_request_is_about(self, service: Client) -> None:
        """The one that it names, else its caller's; never one that the caller may not use, be it there or not."""
        assert gallery_name(request_of(ANYBODY)) == DEFAULT_GALLERY
        assert gallery_name(request_of(ANYBODY), "any") == "any"
        assert gallery_name(request_of(self.ONE), "visitors") == "visitors"
        assert gallery_name(request_of(self.DEVICE)) == "visitors"
        for caller, named in ((self.ONE, None), (self.ONE, "default"), (self.ONE, ""), (self.DEVICE, "default")):
            with pytest.raises(OperationDenied, match=f"{caller.name} may not use this gallery"):
                await gallery_of(request_of(caller, service.app), named)
        assert (await gallery_of(request_of(self.ONE, service.app), "visitors")).name == "visitors"

    async def test_which_galleries_it_sees(self) -> None:
        entries = [GalleryEntry(name=each, created_at=None) for each in ("default", "visitors", "staff")]
        assert visible_galleries(request_of(ANYBODY), entries) == entries
        assert visible_galleries(request_of(self.ONE), entries) == entries[1:2]

    async def test_who_may_use_all(self) -> None:
        """Those that will be made among them; so no list of names is enough."""
        require_all_galleries(request_of(ANYBODY))
        with pytest.raises(OperationDenied, match="may not use all galleries"):
            require_all_galleries(request_of(self.ONE))

    async def test_a_request_that_nobody_looked_at_has_no_gallery(self, service: Client) -> None:
        """Should a path be served past authentication, it fails instead of being open."""
        with pytest.raises(KeyError):
            await gallery_of(make_mocked_request("GET", routes.FACES, app=service.app))
