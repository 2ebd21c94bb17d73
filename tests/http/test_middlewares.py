"""What surrounds each handler: ids on answers, errors answered or cut off, and tracebacks where they help."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

import pytest
from aiohttp import ClientPayloadError

from service.logs import TextFormatter
from tests.http.conftest import break_lists_off
from tests.support.device import BOUNDARY, Client, Device, form, register_path
from tests.support.logs import of_requests, of_service

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_an_answer_that_breaks_off_says_why(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head had said that all is well, so the log is the only place."""
    await device.register(portraits["obama"], "test")
    break_lists_off(monkeypatch)
    async with device.http.get("/get_registration_face") as response:
        with pytest.raises(ClientPayloadError):
            await response.read()
    line = of_requests(logged)[-1]
    assert (line["code"], line["reason"], line["detail"]) == ("-", "cut_off", "The store went away.")


async def test_the_unforeseen_is_logged_with_its_traceback(
    device: Device, logged: pytest.LogCaptureFixture, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the id that the answer bears."""
    monkeypatch.setattr("service.vision.preparation.to_jpeg", lambda *_: 1 / 0)
    async with device.http.post(register_path("test"), data=form(portraits["obama"])) as response:
        answer = await response.json()
    (unforeseen,) = [record for record in logged.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in TextFormatter().format(unforeseen)
    assert vars(unforeseen)["request_id"] == response.headers["X-Request-Id"]
    assert answer["code"] == 999
    assert (of_requests(logged)[-1]["code"], of_requests(logged)[-1]["reason"]) == ("999", "unforeseen")


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
    """One line says so, as for every request, and nothing else does; its network has reset the connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    head = "POST /recognition_face HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
    writer.write(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n--{BOUNDARY}\r\n".encode())
    await writer.drain()
    await asyncio.sleep(0.1)
    linger_not = struct.pack("ii", 1, 0)  # closing resets the connection
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
    writer.transport.abort()
    async with asyncio.timeout(10):
        while not of_requests(logged):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    ended = [(line["route"], line["code"], line["reason"]) for line in of_requests(logged)]
    assert ended == [("/recognition_face", "-", "cut_off")]
    assert [record for record in of_service(logged) if record.levelno > logging.INFO] == []
