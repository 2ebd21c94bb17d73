"""What is logged of each request, and what never is."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientPayloadError
from PIL import Image

from service.errors import StoreUnavailable
from service.gallery.gallery import Gallery
from service.logs import TextFormatter
from service.values import Embedding, StoredFace
from service.vision.engine import Engine
from tests.support.device import BOUNDARY, Client, Device, form, jpeg, register_path

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog


def of_requests(logged: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of each request's line."""
    return [vars(record) for record in logged.records if record.message == "request"]


def of_service(logged: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Without asyncio's own, which exist only when debugging."""
    return [record for record in logged.records if record.name.startswith(("service", "aiohttp"))]


async def test_one_line_a_request(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes]
) -> None:
    """Its id, method, route, code, reason, client and the milliseconds of its stages, in the order of their events."""
    await device.register(portraits["obama"], "test")
    await device.recognise(portraits["obama"])
    await device.faces()
    await device.fails(1001, "DELETE", "/delete_registration_face?face_id=x")
    lines = of_requests(logged)[-4:]
    assert [(line["method"], line["route"], line["code"], line["reason"]) for line in lines] == [
        ("POST", "/registration_face", "0", "ok"),
        ("POST", "/recognition_face", "0", "ok"),
        ("GET", "/get_registration_face", "0", "ok"),
        ("DELETE", "/delete_registration_face", "1001", "invalid_request"),
    ]
    assert ["detail" in line for line in lines] == [False, False, False, True]
    assert "face_id" in lines[-1]["detail"]
    assert [list(line["ms"]) for line in lines] == [
        ["total", "decode", "detect", "crop", "embed", "picture", "store"],
        ["total", "decode", "detect", "crop", "embed", "search"],
        ["total"],
        ["total"],
    ]
    for line in lines:
        assert line["levelname"] == "INFO"
        assert line["client"] == "127.0.0.1"
        assert "device_id" not in line
        total, *timings = line["ms"].values()
        assert sum(timings) <= total + 0.1 * len(timings)
    assert len({line["request_id"] for line in lines}) == 4


async def test_the_answer_bears_the_lines_id(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes]
) -> None:
    """Successes, failures, lists and unknown paths alike; nobody can bring an id of their own."""
    ids = []
    for method, path, options in (
        ("POST", register_path("test"), {"data": form(portraits["obama"])}),
        ("POST", "/recognition_face", {}),
        ("GET", "/get_registration_face", {"headers": {"X-Request-Id": "of their own"}}),
        ("GET", "/unknown", {}),
        ("GET", "/healthz", {}),
    ):
        async with device.http.request(method, path, **options) as response:
            ids.append(response.headers["X-Request-Id"])
    assert ids == [line["request_id"] for line in of_requests(logged)[-5:]]
    assert len(set(ids)) == 5


async def test_paths_of_others_stay_out(device: Device, logged: pytest.LogCaptureFixture) -> None:
    """An unknown path is logged as unknown: it may hold anything, line breaks too."""
    for path in ("/%0A2026-01-01%20INFO%20forged", "/wp-admin.php?secret=1"):
        await device.fails(1000, "GET", path)
    assert [line["route"] for line in of_requests(logged)[-2:]] == ["unknown", "unknown"]
    assert not any("forged" in str(vars(record)) or "wp-admin" in str(vars(record)) for record in of_service(logged))


async def test_watchers_are_logged_at_debug(device: Device, logged: pytest.LogCaptureFixture) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        async with device.http.get(path) as response:
            assert response.status == 200
    assert [(line["route"], line["levelname"]) for line in of_requests(logged)] == [
        ("/healthz", "DEBUG"),
        ("/readyz", "DEBUG"),
        ("/metrics", "DEBUG"),
    ]


async def test_nothing_personal_is_logged(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No remark, photo, picture or embedding, whichever way a request ends, even at DEBUG."""
    embeddings: list[Embedding] = []
    faces = Engine.observe

    async def overheard(*arguments: Any) -> Any:
        observation = await faces(*arguments)
        embeddings.extend(face.embedding for face in observation.faces)
        return observation

    monkeypatch.setattr(Engine, "observe", overheard)
    photo = portraits["obama"]
    await device.register(photo, "Erika Mustermann")
    await device.recognise(photo)
    await device.fails(1004, "POST", register_path("Erika Mustermann"), data=form(photo[:2000]))
    monkeypatch.setattr("service.vision.engine.to_jpeg", lambda *_: 1 / 0)
    await device.fails(999, "POST", register_path("Erika Mustermann"), data=form(photo))
    (face,) = await device.faces()
    await device.delete(face["face_id"])
    text = "\n".join(TextFormatter().format(record) + str(vars(record)) for record in of_service(logged))
    assert "Erika" not in text
    assert face["picture"][:40] not in text
    assert base64.b64encode(photo).decode()[:40] not in text
    assert str(photo[:20])[2:-1] not in text
    assert len(embeddings) == 3
    for number in np.concatenate(embeddings)[:50]:
        assert f"{abs(number):.5f}" not in text


async def test_the_unforeseen_is_logged_with_its_traceback(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the id that the answer bears."""
    monkeypatch.setattr("service.vision.engine.to_jpeg", lambda *_: 1 / 0)
    async with device.http.post(register_path("test"), data=form(portraits["obama"])) as response:
        answer = await response.json()
    (unforeseen,) = [record for record in logged.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in TextFormatter().format(unforeseen)
    assert vars(unforeseen)["request_id"] == response.headers["X-Request-Id"]
    assert answer["code"] == 999
    assert (of_requests(logged)[-1]["code"], of_requests(logged)[-1]["reason"]) == ("999", "unforeseen")


async def test_failures_say_why(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], photos: Path
) -> None:
    """The exception's slug, and the sentence that the device got."""
    expected, details = [], []
    for code, reason, method, path, data in (
        (1000, "uri_not_found", "GET", "/nowhere", None),
        (1000, "uri_not_found", "PUT", "/recognition_face", None),
        (1001, "invalid_request", "POST", "/recognition_face", b"x"),
        (1004, "unknown_face", "GET", "/get_registration_face?face_id=1", None),
        (1004, "face_not_found", "POST", register_path("x"), form((photos / "chelsea.png").read_bytes())),
        (1005, "unsupported_format", "POST", "/recognition_face", form(b"no photo")),
        (1005, "invalid_image", "POST", "/recognition_face", form(portraits["obama"][:2000])),
        (1005, "image_too_large", "POST", "/recognition_face", form(jpeg(Image.new("L", (8000, 7000))))),
    ):
        details.append(await device.fails(code, method, path, data=data))
        expected.append((str(code), reason))
    lines = of_requests(logged)
    assert [(line["code"], line["reason"]) for line in lines] == expected
    assert [line["detail"] for line in lines] == details


async def test_an_answer_that_breaks_off_says_why(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head had said that all is well, so the log is the only place."""
    await device.register(portraits["obama"], "test")
    whole = Gallery.list

    async def broken(gallery: Gallery, offset: int = 0, limit: int | None = None) -> AsyncIterator[StoredFace]:
        async for face in whole(gallery, offset, limit):
            yield face
        raise StoreUnavailable("The store went away.")

    monkeypatch.setattr(Gallery, "list", broken)
    async with device.http.get("/get_registration_face") as response:
        with pytest.raises(ClientPayloadError):
            await response.read()
    line = of_requests(logged)[-1]
    assert (line["code"], line["reason"], line["detail"]) == ("-", "cut_off", "The store went away.")


async def test_foreseen_failures_leave_no_traceback(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes]
) -> None:
    for code, method, path, data in (
        (1000, "PUT", "/recognition_face", None),
        (1001, "POST", "/recognition_face", b"x"),
        (1004, "GET", "/get_registration_face?face_id=1", None),
        (1005, "POST", "/recognition_face", form(b"no photo")),
    ):
        await device.fails(code, method, path, data=data)
    assert [record for record in of_service(logged) if record.levelno > logging.INFO] == []


async def test_a_client_that_left_is_cut_off(
    service: Client, device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes]
) -> None:
    """One line says so, as for every request, and nothing else does."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = "POST /recognition_face HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n--{BOUNDARY}\r\n".encode())
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    async with asyncio.timeout(10):
        while not of_requests(logged):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    ended = [(line["route"], line["code"], line["reason"]) for line in of_requests(logged)]
    assert ended == [("/recognition_face", "-", "cut_off")]
    assert [record for record in of_service(logged) if record.levelno > logging.INFO] == []
