"""Crowds that want to keep others from the door: each does one thing as hard as it can, in a process of its own.

Run as `python -m scripts.bench.crowds URL NAME CONNECTIONS SECONDS < paths`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scripts.bench.load_clients import ADDRESS, DEVICE, load
from scripts.device_client import signed_headers

MULTIPART = "Content-Type: multipart/form-data; boundary=x"
PHOTO_HEAD = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
LARGE = 9 * 2**20
SECRET = "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """`sent` is what a connection sends, piece by piece, with `pause_s` between the pieces.

    With `again` each connection begins anew as soon as it is answered or closed, else it stays as it is. A crowd that
    is `signed` meets a service that asks for signatures.
    """

    sent: Callable[[], Iterator[bytes]]
    connections: int
    pause_s: float = 0.0
    again: bool = True
    reads: bool = True
    signed: bool = False
    until_closed: bool = False
    """Whether answers are passed over, and only the connection's end is the end."""


def _post(path: str, *headers: str, length: int) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers)).encode() + b"\r\n\r\n"


def _unfinished() -> Iterator[bytes]:
    yield _post("/recognition_face", MULTIPART, length=LARGE + 1000) + PHOTO_HEAD
    for _ in range(LARGE // 2**16):
        yield b"\xff\xd8\xff" + bytes(2**16 - 3)


def _slow_body() -> Iterator[bytes]:
    yield _post("/recognition_face", MULTIPART, length=LARGE) + PHOTO_HEAD
    while True:
        yield b"\xff"


def _slow_head() -> Iterator[bytes]:
    yield b"POST /recognition_face HTTP/1.1\r\nHost: x\r\nX-Slow: "
    while True:
        yield b"x"


def _preamble() -> Iterator[bytes]:
    yield _post("/recognition_face", MULTIPART, length=100 * 2**20)
    while True:
        yield b"\r\n" * 2**15


def _compressed() -> Iterator[bytes]:
    yield _post("/recognition_face", MULTIPART, "Content-Encoding: gzip", length=100 * 2**20)
    while True:
        yield bytes(2**16)


def _small_chunks() -> Iterator[bytes]:
    yield b"POST /recognition_face HTTP/1.1\r\nHost: x\r\n" + MULTIPART.encode()
    yield b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(PHOTO_HEAD) + PHOTO_HEAD + b"\r\n"
    while True:
        yield b"1\r\nx\r\n" * 10_000


def _too_large() -> Iterator[bytes]:
    yield _post("/recognition_face", MULTIPART, length=100 * 2**20) + PHOTO_HEAD
    while True:
        yield b"\xff\xd8\xff" + bytes(2**16 - 3)


def _endless_requests() -> Iterator[bytes]:
    while True:
        yield _get("/nowhere") * 100


def _wrong_signatures() -> Iterator[bytes]:
    signed = signed_headers(DEVICE, "f" * 64, "GET", "/get_registration_face")
    headers = (f"{name}: {value}" for name, value in signed.items())
    yield _get("/get_registration_face", *headers)


_SIGNATURE = ("X-Device-Id: nobody", "X-Timestamp: 1", "X-Nonce: " + "n" * 32, "X-Signature: " + "0" * 64)

CROWDS = {
    "1,000 idle connections": Crowd(sent=lambda: iter(()), connections=1000, again=False),
    "1,000 slow heads": Crowd(sent=_slow_head, connections=1000, pause_s=5.0),
    "1,000 slow bodies": Crowd(sent=_slow_body, connections=1000, pause_s=5.0),
    "150 unfinished uploads of 9 MB": Crowd(sent=_unfinished, connections=150, again=False),
    "64 lists that nobody reads": Crowd(
        sent=lambda: iter([_get("/get_registration_face") * 100]), connections=64, again=False, reads=False
    ),
    "compressed bodies": Crowd(sent=_compressed, connections=8),
    "queries of 60 KB": Crowd(
        sent=lambda: iter([_get("/get_registration_face?" + "a&" * 30_000, *_SIGNATURE)]), connections=8
    ),
    "escaped queries of 60 KB": Crowd(
        sent=lambda: iter([_get("/get_registration_face?remark=" + "%C4%80" * 10_000, *_SIGNATURE)]), connections=8
    ),
    "preambles of newlines": Crowd(sent=_preamble, connections=8),
    "chunks of one byte": Crowd(sent=_small_chunks, connections=8),
    "Expect: bogus": Crowd(sent=lambda: iter([_get("/recognition_face", "Expect: bogus")]), connections=8),
    "CONNECT": Crowd(sent=lambda: iter([b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"]), connections=8),
    "bodies that are too large": Crowd(sent=_too_large, connections=8),
    "paths that there aren't": Crowd(sent=lambda: iter([_get("/nowhere")]), connections=8),
    "paths that there aren't, without waiting": Crowd(sent=_endless_requests, connections=8, until_closed=True),
    "wrong signatures": Crowd(sent=_wrong_signatures, connections=8, signed=True),
}


async def crowd(url: str, kind: Crowd, connections: int, seconds: float) -> int:
    """Go on for that long; how many connections could be opened."""
    parts, until = urlsplit(url), time.perf_counter() + seconds
    tasks = [asyncio.create_task(_one(str(parts.hostname), parts.port or 80, kind, until)) for _ in range(connections)]
    return sum(await asyncio.gather(*tasks))


async def _one(host: str, port: int, kind: Crowd, until: float) -> int:
    opened = 0
    while (left := until - time.perf_counter()) > 0:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(left):
                reader, writer = await asyncio.open_connection(host, port, local_addr=(ADDRESS, 0))
                opened += 1
                try:
                    await _talk(reader, writer, kind)
                finally:
                    writer.transport.abort()
        if not kind.again:
            await asyncio.sleep(max(0.0, until - time.perf_counter()))
        await asyncio.sleep(0)
    return opened


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: Crowd) -> None:
    """Until the service closes the connection, or has answered."""
    if not kind.reads:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
    one_answer = kind.again and not kind.until_closed
    answered = asyncio.create_task(reader.read(2**16) if one_answer else _read_all(reader))
    try:
        for piece in kind.sent():
            writer.write(piece)
            await writer.drain()
            if kind.pause_s:
                await asyncio.wait([answered], timeout=kind.pause_s)
            if answered.done():
                return
        await answered
    finally:
        answered.cancel()


async def _read_all(reader: asyncio.StreamReader) -> None:
    while await reader.read(2**16):
        pass


def main() -> None:
    url, name, connections, seconds = sys.argv[1:]
    if name in CROWDS:
        asyncio.run(crowd(url, CROWDS[name], int(connections), float(seconds)))
    else:
        photos = [Path(line.strip()).read_bytes() for line in sys.stdin]
        asyncio.run(load(url, name, photos, int(connections), float(seconds), ADDRESS))


if __name__ == "__main__":
    main()
