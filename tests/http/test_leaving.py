"""Clients that leave before they are answered: nobody looks at their photos, and what was begun to be kept is kept."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.http import ended_clients
from service.settings import Settings
from service.timings import Timings
from tests.support import bombs
from tests.support.crowd import metric
from tests.support.device import BOUNDARY, Client, Device, multipart, register_path
from tests.support.processes import gallery_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEFT = 'face_decodings_stopped_total{reason="left"}'
BATCH = "/v1/faces:batch"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick machine decodes the slow photo before clients are asked otherwise."""
    monkeypatch.setattr(ended_clients, "GRACE_S", 0.2)


@pytest.fixture(scope="module")
def slow_photo() -> bytes:
    """Decoding it takes a second or more."""
    return bombs.many_scans(110, 8000, 6000)


@asynccontextmanager
async def sent(service: Client, path: str, photo: bytes) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection on which a whole request has gone out; it is closed at the end."""
    body = multipart(("remark", b"left"), ("image", photo))["data"]
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + body)
    await writer.drain()
    yield writer
    writer.transport.abort()
    del reader


async def sample(service: Client, name: str) -> float:
    async with service.get("/metrics") as answer:
        return metric(await answer.text(), name)


async def until(service: Client, name: str, value: float, limit_s: float) -> None:
    async with asyncio.timeout(limit_s):
        while await sample(service, name) != value:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/recognition_face", register_path("left"), "/v1/detect", BATCH])
async def test_their_photo_is_decoded_no_further(
    service: Client, device: Device, slow_photo: bytes, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Decoding stops soon, its process is free for others, and the log has no error."""
    before = await sample(service, LEFT)
    async with sent(service, path, slow_photo):
        await asyncio.sleep(0.2)
        assert await sample(service, LEFT) == before
    await until(service, LEFT, before + 1, 2)
    assert await device.faces() == []
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


@pytest.mark.slow
async def test_one_that_only_ends_its_sending_side_is_answered(service: Client, slow_photo: bytes) -> None:
    """It is still there, and reads."""
    before = await sample(service, LEFT)
    body = multipart(("image", slow_photo))["data"]
    head = f"POST /recognition_face HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(f"{head}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + body)
    writer.write_eof()
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    assert b'"code": 1005' in answer
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 "), "what finds out that it is still there"
    assert await sample(service, LEFT) == before


@pytest.mark.slow
async def test_a_registration_that_is_being_written_is_finished(
    service: Client, device: Device, service_settings: Settings, portraits: dict[str, bytes]
) -> None:
    """Its client has left while the gallery was slow; the face is there, whole and once."""
    process = gallery_process(service_settings.data)
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        async with sent(service, register_path("left"), portraits["obama"]):
            await asyncio.sleep(1)
    finally:
        os.kill(process, signal.SIGCONT)
    async with asyncio.timeout(5):
        while await device.remarks() != ["left"]:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.02)
    [match] = await device.recognise(portraits["obama"])
    assert match["remark"] == "left"


async def test_work_is_cancelled_once_nobody_wants_it() -> None:
    """What runs already and what would begin later; the error is that of a lost connection."""
    timings, begun = Timings(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.sleep(60)

    waiting = asyncio.create_task(timings.while_wanted(work()))
    await begun.wait()
    timings.client_left()
    with pytest.raises(ConnectionResetError):
        await waiting
    with pytest.raises(ConnectionResetError):
        await timings.while_wanted(work())


async def test_work_is_done_as_long_as_it_is_wanted() -> None:
    """Its result and its errors come through; a cancellation from elsewhere stays one."""
    timings = Timings()

    async def fail() -> None:
        raise ValueError("as it came")

    assert await timings.while_wanted(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="as it came"):
        await timings.while_wanted(fail())
    waiting = asyncio.create_task(timings.while_wanted(asyncio.sleep(60)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
