"""Devices below /v1: the whole body is what was signed, or nothing happens."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Iterable
from typing import Any

import pytest

from scripts.device_client import signed_headers
from service.http.keys import CURRENT
from service.settings import Settings
from service.vision.engine import Engine
from tests.conftest import MODELS
from tests.support.device import BOUNDARY, Client, multipart
from tests.support.signing import SECRET, devices_file, exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

DETECT = "/v1/detect"


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, bytes]) -> Settings:
    """A service that knows the devices of tests/support/signing.py; the portraits are its largest photos."""
    folder = tmp_path_factory.mktemp("signed")
    return Settings(
        data=folder / "data",
        model_dir=MODELS,
        model="casia-webface",
        devices=devices_file(folder / "devices.toml"),
        max_bytes=max(map(len, portraits.values())),
    )


@pytest.fixture
def photo(portraits: dict[str, bytes]) -> bytes:
    return portraits["obama"]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The photos that reached the engine."""
    seen: list[bytes] = []
    detect = Engine.detect

    async def watched(engine: Engine, photo: bytes, *arguments: Any, **options: Any) -> Any:
        seen.append(photo)
        return await detect(engine, photo, *arguments, **options)

    monkeypatch.setattr(Engine, "detect", watched)
    return seen


def wire(
    body: bytes,
    content_type: str = "image/jpeg",
    *,
    signed: bytes | None = None,
    more: Iterable[str] = (),
    **options: Any,
) -> bytes:
    """A request to look for faces, whose signature is for the body `signed`."""
    target = options.pop("target", DETECT)
    method = options.pop("method", "POST")
    path, _, query = target.partition("?")
    headers = signed_headers("door-7", SECRET, method, path, query, body if signed is None else signed, **options)
    lines = [f"{method} {target} HTTP/1.1", "Host: service", "Connection: close", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def told(service: Client, request: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the JSON of the answer."""
    assert service.port is not None
    head, body = await exchange(service.port, request)
    answer: dict[str, Any] = json.loads(body)
    return int(head.split()[1]), answer


def bodies(photo: bytes) -> dict[str, tuple[bytes, str]]:
    """The same photo in each way that /v1 reads."""
    parts = multipart(("other", b"x" * 100), ("image", photo))
    in_json = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
    return {
        "image": (photo, "image/jpeg"),
        "form": (parts["data"], f"multipart/form-data; boundary={BOUNDARY}"),
        "JSON": (in_json, "application/json"),
    }


@pytest.mark.parametrize("kind", ["image", "form", "JSON"])
async def test_the_body_that_was_signed(service: Client, photo: bytes, looked_at: list[bytes], kind: str) -> None:
    """Is read once and used; another one is refused before the models see it, and doesn't use up the nonce."""
    body, content_type = bodies(photo)[kind]
    altered = [body + b"\0", body[:-1], body[: len(body) // 2], b"", body.replace(b"\r", b"\n", 1) + b" "]
    nonce = f"nonce-of-{kind}-0123456789"
    for other in altered:
        status, answer = await told(service, wire(other, content_type, signed=body, nonce=nonce))
        assert (status, answer["code"]) == (401, "bad_signature")
        assert "digest of the whole body" in answer["detail"]
    assert looked_at == []
    status, answer = await told(service, wire(body, content_type, nonce=nonce))
    assert status == 200
    assert len(answer["faces"]) == 1
    assert looked_at == [photo]
    status, answer = await told(service, wire(body, content_type, nonce=nonce))
    assert (status, answer["code"]) == (401, "bad_signature")
    assert "used before" in answer["detail"]
    assert looked_at == [photo]


async def test_the_digest_is_of_the_body_and_not_of_the_image(service: Client, photo: bytes) -> None:
    """The parts around the image are signed, too."""
    form, content_type = bodies(photo)["form"]
    status, answer = await told(service, wire(form, content_type, signed=photo))
    assert (status, answer["code"]) == (401, "bad_signature")


async def test_a_request_without_a_body(service: Client) -> None:
    """Has the digest of nothing; one that brings a body all the same must have signed it."""
    status, answer = await told(service, wire(b"", method="GET", target="/v1/faces?limit=1"))
    assert (status, answer["faces"]) == (200, [])
    status, answer = await told(service, wire(b"", method="GET", target="/v1/faces", signed=b"x"))
    assert (status, answer["code"]) == (401, "bad_signature")
    status, answer = await told(service, wire(b"x", method="GET", target="/v1/faces", signed=b""))
    assert (status, answer["code"]) == (401, "bad_signature")


async def test_one_of_many_at_once(service: Client, photo: bytes, looked_at: list[bytes]) -> None:
    """The same request sent eight times at the same moment passes exactly once."""
    request = wire(photo)
    statuses = [status for status, _ in await asyncio.gather(*(told(service, request) for _ in range(8)))]
    assert sorted(statuses) == [200] + [401] * 7
    assert looked_at == [photo]


async def test_the_path_is_signed_as_it_is_sent(service: Client, photo: bytes, looked_at: list[bytes]) -> None:
    """Another spelling of it, another query or another method is another request."""
    request = wire(photo)
    for other in (b"POST /v1/%64etect ", b"POST /v1/embed ", b"POST /v1/detect?x=1 ", b"PUT /v1/detect "):
        status, answer = await told(service, request.replace(b"POST /v1/detect ", other))
        assert (status, answer["code"]) == (401, "bad_signature")
    assert looked_at == []


async def test_a_body_in_another_encoding_is_not_read(service: Client, photo: bytes, looked_at: list[bytes]) -> None:
    """Since what is decoded isn't what was signed, nor as large."""
    packed = gzip.compress(photo)
    for signed in (packed, photo):
        status, answer = await told(service, wire(packed, signed=signed, more=["Content-Encoding: gzip"]))
        assert (status, answer["code"]) == (415, "unsupported_body")
    assert looked_at == []


async def test_a_body_that_is_too_large(service: Client, service_settings: Settings, looked_at: list[bytes]) -> None:
    """Is refused by its length before it is read, and else as soon as too much has come."""
    limit = 4 * service_settings.max_bytes + 2**20
    announced = wire(b"x", more=()).replace(b"Content-Length: 1", b"Content-Length: %d" % (limit + 1))
    status, answer = await told(service, announced)
    assert (status, answer["code"]) == (413, "image_too_large")
    body = b"x" * (limit + 1)
    chunked = wire(body).replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked", 1)
    head, _, _ = chunked.partition(b"\r\n\r\n")
    status, answer = await told(service, head + b"\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
    assert (status, answer["code"]) == (413, "image_too_large")
    assert looked_at == []


async def test_the_body_is_asked_for_once(service: Client, photo: bytes) -> None:
    """A client that waits for `100 Continue` gets it once, and not where its signature is refused."""
    assert service.port is not None
    good, refused = wire(photo, more=["Expect: 100-continue"]), wire(photo, nonce="short")
    for request, asked in ((good, 1), (refused.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n", 1), 0)):
        head, _, body = request.partition(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head + b"\r\n\r\n")
        if asked:
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
        answer = await reader.read()
        writer.close()
        assert b"100 Continue" not in answer
        assert answer.startswith(b"HTTP/1.1 200 " if asked else b"HTTP/1.1 401 ")


async def test_a_face_that_a_device_registers_keeps_its_name(service: Client, photo: bytes) -> None:
    """As on the device paths: with one request for a photo, and with one for several."""
    batch = multipart(("remark", b"two"), ("image", photo))
    for target, body, content_type in (
        ("/v1/faces?remark=one", photo, "image/jpeg"),
        ("/v1/faces:batch", batch["data"], f"multipart/form-data; boundary={BOUNDARY}"),
    ):
        await told(service, wire(body, content_type, target=target))
    gallery = await service.app[CURRENT].opened.galleries.of("default")
    faces, _ = await gallery.page(10, after=None, remark=None)
    assert {face.remark: face.device_id for face in faces} == {"one": "door-7", "two": "door-7"}
