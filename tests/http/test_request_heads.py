"""Heads as devices write them, byte for byte on a socket: what differs in form only is read, the rest is refused."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from service.http.request_heads import MAX_REQUEST_LINE, HeadReader
from tests.support.device import Client, Device, multipart
from tests.support.signing import answer, exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = "/get_registration_face"


def register(photo: bytes, target: bytes, end: bytes = b"\r\n", host: bytes = b"Host: x") -> bytes:
    """A registration whose request line has that target and whose lines end so."""
    form = multipart(("image", photo))
    lines = [b"POST " + target + b" HTTP/1.1", host, b"Connection: close"]
    lines += [f"{name}: {value}".encode() for name, value in form["headers"].items()]
    lines += [b"Content-Length: %d" % len(form["data"]), b"", b""]
    return end.join(line for at, line in enumerate(lines) if line or at > 3) + bytes(form["data"])


@pytest.mark.parametrize(
    ("raw", "remark"),
    [
        ("張三".encode(), "張三"),
        (b"Zhang San", "Zhang San"),
        (b" two  spaces ", " two  spaces"),
        ("é%20+ü".encode(), "é  ü"),
        (b"100%25\t{a}|b\\^`", "100%\t{a}|b\\^`"),
        ("\U0001f600".encode(), "\U0001f600"),
    ],
)
async def test_raw_letters_in_the_url(
    service: Client, device: Device, portraits: dict[str, bytes], raw: bytes, remark: str
) -> None:
    """UTF-8 and spaces as they stand are what their percent-encoding is."""
    target = b"/registration_face?remark=" + raw
    assert (await answer(service.port or 0, register(portraits["obama"], target)))["code"] == 0
    assert await device.remarks() == [remark]


async def test_raw_letters_of_another_charset(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    """Refused with what to do; test_targets has how FACE_REMARK_CHARSET reads them."""
    target = b"/registration_face?remark=" + "張三".encode("gbk")
    refused = await answer(service.port or 0, register(portraits["obama"], target))
    assert refused["code"] == 1001
    assert "FACE_REMARK_CHARSET" in refused["detail"]
    assert await device.faces() == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("host", [b"", b"Host:", b"host : x"[:4] + b": x"])
async def test_line_ends_and_hosts(
    service: Client, device: Device, portraits: dict[str, bytes], end: bytes, host: bytes
) -> None:
    """LF alone ends a line, and nobody needs the Host."""
    sent = register(portraits["obama"], b"/registration_face?remark=test", end, host)
    assert (await answer(service.port or 0, sent))["code"] == 0
    assert await device.remarks() == ["test"]


@pytest.mark.slow
async def test_heads_in_pieces(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    """Cut anywhere, also within a letter and between the two line ends."""
    sent = register(portraits["obama"], "/registration_face?remark=張 三".encode(), b"\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    for at in range(230):
        writer.write(sent[at : at + 1])
        await asyncio.sleep(0)
    writer.write(sent[230:])
    async with asyncio.timeout(20):
        assert b'"code": 0' in await reader.read()
    writer.close()
    assert await device.remarks() == ["張 三"]


async def bodies(port: int, sent: bytes, count: int) -> list[dict[str, Any]]:
    """The envelopes of that many answers on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    found = []
    async with asyncio.timeout(20):
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].split()[0])
            found.append(json.loads(await reader.readexactly(length)))
    writer.close()
    return found


async def test_requests_one_after_another(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    """In one packet, with bodies of both kinds, mended and not, with empty lines between them: in their order."""
    first = register(portraits["obama"], "/registration_face?remark=張".encode(), b"\n").replace(
        b"Connection: close\n", b""
    )
    form = multipart(("remark", b"chunked"), ("image", portraits["biden"]))
    chunked = (
        b"POST /registration_face HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + f"Content-Type: {form['headers']['Content-Type']}\r\n\r\n{len(form['data']):x}\r\n".encode()
        + form["data"]
        + b"\r\n0\r\n\r\n"
    )
    a_list = f"GET {LIST}?limit=1 HTTP/1.1\n\n".encode()
    found = await bodies(service.port or 0, first + b"\r\n\r\n" + a_list + a_list + chunked, 4)
    assert [each["code"] for each in found] == [0, 0, 0, 0]
    assert [face["remark"] for face in found[1]["data"]["all_face"]] == ["張"]
    assert await device.remarks() == ["張", "chunked"]


@pytest.mark.slow
async def test_many_requests_at_once(service: Client, device: Device) -> None:
    """More than aiohttp lets wait: each is answered."""
    found = await bodies(service.port or 0, f"GET {LIST} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 100, 100)
    assert [each["code"] for each in found] == [0] * 100


async def test_a_length_that_is_too_small(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    """What stands behind the body is no request: one answer, after which the connection ends."""
    sent = register(portraits["obama"], b"/registration_face?remark=test").replace(b"Connection: close\r\n", b"")
    length = int(sent.partition(b"Content-Length: ")[2].split()[0])
    for missing in (5, 14):
        short = sent.replace(b"Content-Length: %d" % length, b"Content-Length: %d" % (length - missing))
        head, body = await exchange(service.port or 0, short)
        assert json.loads(body)["code"] == 0
        assert b"connection: close" in head.lower()
    for missing in (1, 2):  # an empty line, which may stand between requests
        short = sent.replace(b"Content-Length: %d" % length, b"Content-Length: %d" % (length - missing))
        found = await bodies(service.port or 0, short + f"GET {LIST} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 2)
        assert [each["code"] for each in found] == [0, 0]
    assert await device.remarks() == ["test"]


@pytest.mark.parametrize("extra", [1, 5, 5000])
async def test_a_length_that_is_too_large(
    service: Client, device: Device, portraits: dict[str, bytes], extra: int
) -> None:
    """The last boundary ends the form; nobody waits for what never comes, and the answer ends the connection."""
    sent = register(portraits["obama"], b"/registration_face?remark=test").replace(b"Connection: close\r\n", b"")
    length = int(sent.partition(b"Content-Length: ")[2].split()[0])
    sent = sent.replace(b"Content-Length: %d" % length, b"Content-Length: %d" % (length + extra))
    began = time.monotonic()
    assert [each["code"] for each in await bodies(service.port or 0, sent, 1)] == [0]
    assert time.monotonic() - began < 5
    assert await device.remarks() == ["test"]


async def test_heads_are_bounded() -> None:
    """Whatever comes, in whatever pieces: no more is kept than a head may have, and each is looked at once."""
    for begin, more in ((b"GET /", b"x" * 1000), (b"GET / HTTP/1.1\r\n", b"X: x\r\n" * 1000)):
        heads = HeadReader()
        head, rest = heads.take(begin)
        while head is None:
            head, rest = heads.take(more)
        assert "too long" in head.refusal
        assert rest == b""
        assert not heads


async def test_a_head_of_single_bytes_takes_no_longer() -> None:
    """A request line of the greatest length, byte by byte, costs the loop a fraction of a second."""
    heads = HeadReader()
    sent = b"GET /?" + b"x" * (MAX_REQUEST_LINE - 30) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    began = time.process_time()
    head = None
    for at in range(len(sent)):
        head, _ = heads.take(sent[at : at + 1])
    assert head is not None
    assert head.content == sent
    assert time.process_time() - began < 2
