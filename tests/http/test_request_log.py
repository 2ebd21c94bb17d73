"""What is logged of each request, and what never is."""

from __future__ import annotations

import base64
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.logs import TextFormatter
from service.settings import Settings
from service.values import Embedding
from service.variables import Networks
from service.vision.engine import Engine
from tests.conftest import Start
from tests.support.device import Device, form, jpeg, register_path
from tests.support.logs import of_requests, of_service
from tests.support.signing import code, devices_file, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.slow
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
        ["total", "decode", "detect", "crop", "picture", "embed", "store"],
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


async def test_paths_of_others_stay_out(device: Device, logged: pytest.LogCaptureFixture) -> None:
    """An unknown path is logged as unknown: it may hold anything, line breaks too."""
    for path in ("/%0A2026-01-01%20INFO%20forged", "/wp-admin.php?secret=1"):
        await device.fails(1000, "GET", path)
    assert [line["route"] for line in of_requests(logged)[-2:]] == ["unknown", "unknown"]
    assert not any("forged" in str(vars(record)) or "wp-admin" in str(vars(record)) for record in of_service(logged))


@pytest.mark.slow
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

    async def overheard(*arguments: Any, **options: Any) -> Any:
        observation = await faces(*arguments, **options)
        embeddings.extend(face.embedding for face in observation.faces)
        return observation

    monkeypatch.setattr(Engine, "observe", overheard)
    photo = portraits["obama"]
    await device.register(photo, "Erika Mustermann")
    await device.recognise(photo)
    await device.fails(1004, "POST", register_path("Erika Mustermann"), data=form(photo[:2000]))
    monkeypatch.setattr("service.vision.preparation.to_jpeg", lambda *_: 1 / 0)
    await device.fails(999, "POST", register_path("Erika Mustermann"), data=form(photo))
    (face,) = await device.faces()
    await device.delete(face["face_id"])
    text = "\n".join(TextFormatter().format(record) + str(vars(record)) for record in of_service(logged))
    assert "Erika" not in text
    assert face["picture"][:40] not in text
    assert base64.b64encode(photo).decode()[:40] not in text
    assert str(photo[:20])[2:-1] not in text
    assert len(embeddings) == 2
    for number in np.concatenate(embeddings)[:50]:
        assert f"{abs(number):.5f}" not in text


async def test_failures_say_why(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], photos: Path
) -> None:
    """The exception's slug, and the sentence that the device got."""
    expected, details = [], []
    for expected_code, reason, method, path, data in (
        (1000, "uri_not_found", "GET", "/nowhere", None),
        (1000, "uri_not_found", "PUT", "/recognition_face", None),
        (1001, "invalid_request", "POST", "/recognition_face", b"x"),
        (1004, "unknown_face", "GET", "/get_registration_face?face_id=1", None),
        (1004, "face_not_found", "POST", register_path("x"), form((photos / "chelsea.png").read_bytes())),
        (1005, "unsupported_format", "POST", "/recognition_face", form(b"no photo")),
        (1005, "invalid_image", "POST", "/recognition_face", form(portraits["obama"][:2000])),
        (1005, "image_too_large", "POST", "/recognition_face", form(jpeg(Image.new("L", (8000, 7000))))),
    ):
        details.append(await device.fails(expected_code, method, path, data=data))
        expected.append((str(expected_code), reason))
    lines = of_requests(logged)
    assert [(line["code"], line["reason"]) for line in lines] == expected
    assert [line["detail"] for line in lines] == details


def named(logged: pytest.LogCaptureFixture) -> list[tuple[str, str | None, str]]:
    """Each line's reason, device and client."""
    return [(line["reason"], line.get("device_id"), line["client"]) for line in of_requests(logged)]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
async def test_the_device_is_named_as_the_request_names_it(
    start: Start, settings: Settings, tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    """Also one that is unknown, so that an operator sees who knocks; what can't be an id is only `?`."""
    port = (await start(replace(settings, devices=devices_file(tmp_path / "devices.toml")))).port or 0
    good = signed("GET", "/get_registration_face")
    for request, expected in (
        (good, 0),
        (good, 1002),
        (good.having("X-Device-Id", "door-8"), 1003),
        (good.having("X-Device-Id", "stolen"), 1003),
        (good.having("X-Device-Id", "' INFO forged"), 1003),
        (good.having("X-Device-Id", "x" * 65), 1003),
        (good.having("X-Device-Id", "door-7", "door-8"), 1003),
        (good.having("X-Device-Id"), 1003),
    ):
        assert await code(port, request) == expected
    assert [(reason, device) for reason, device, _ in named(logged)] == [
        ("ok", "door-7"),
        ("bad_signature", "door-7"),
        ("unknown_device", "door-8"),
        ("unknown_device", "stolen"),
        ("unknown_device", "?"),
        ("unknown_device", "?"),
        ("unknown_device", "?"),
        ("unknown_device", None),
    ]
    assert not any("forged" in str(vars(record)) for record in of_service(logged))


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(("trusted", "client"), [((), "127.0.0.1"), ((ip_network("127.0.0.1"),), "198.51.100.7")])
async def test_a_trusted_proxy_names_the_client(
    start: Start, settings: Settings, logged: pytest.LogCaptureFixture, trusted: Networks, client: str
) -> None:
    """Nobody else is believed, and a device that isn't asked to sign isn't named."""
    device = Device(await start(replace(settings, trusted_proxies=trusted)))
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Device-Id": "door-7"}
    await device.fails(1000, "GET", "/nowhere", headers=headers)
    assert named(logged)[-1] == ("uri_not_found", None, client)
