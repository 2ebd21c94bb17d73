"""Many clients of a running service that do what they shouldn't, on raw sockets, and one door that must be served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.support.device import Device
from tests.support.processes import Running

CROWD, DOOR = "127.0.0.1", "127.0.0.2"
"""Addresses that all are this machine."""
LARGE = 9 * 2**20
HEAD = (
    b"POST /recognition_face HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    b"Content-Length: %d\r\n\r\n"
)
PHOTO_HEAD = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
_WAIT_S = 3.0
"""For what must not come."""


class Peer:
    """One connection; what comes back is read at once, unless it shall be left lying."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reads: bool) -> None:
        self.received = b""
        self._reader, self._writer = reader, writer
        self._reading = asyncio.create_task(self._read()) if reads else None

    async def _read(self) -> None:
        try:
            while chunk := await self._reader.read(2**16):
                self.received += chunk
        except OSError:
            pass

    def send(self, sent: bytes) -> None:
        """Without waiting until it is gone."""
        if not self._writer.is_closing():
            self._writer.write(sent)

    def is_closed(self) -> bool:
        """By the service."""
        return self._reading is not None and self._reading.done()

    async def answer(self) -> bytes:
        """Everything up to the end of the first answer, which has a length."""
        while b"\r\n\r\n" not in self.received:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            await asyncio.sleep(0.01)
            body = self.received.partition(b"\r\n\r\n")[2]
        return head + b"\r\n\r\n" + body[:length]

    async def rest(self) -> bytes:
        """All that came, once the service has closed the connection."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        async with asyncio.timeout(30):
            await self._reading
        return self.received

    def hang_up(self) -> None:
        """Close it at once."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.transport.abort()


async def peers(crowd: ExitStack, port: int, count: int, sent: bytes = b"", *, reads: bool = True) -> list[Peer]:
    """That many connections, on each of which this was sent, as far as the service took it within some seconds.

    Those that don't read have a small buffer, so that little is enough to fill it.
    """
    opened = []
    for _ in range(count):
        ours = socket.socket()
        if not reads:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours.bind((CROWD, 0))
        ours.setblocking(False)
        await asyncio.get_running_loop().sock_connect(ours, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 if not reads else 2**16)
        peer = Peer(reader, writer, reads=reads)
        crowd.callback(peer.hang_up)
        peer.send(sent)
        opened.append(peer)
    await asyncio.wait([asyncio.create_task(_sent(each)) for each in opened], timeout=_WAIT_S)
    return opened


async def _sent(peer: Peer) -> None:
    try:
        await peer._writer.drain()
        await asyncio.sleep(0.5)
    except OSError:
        pass


async def hang_up(crowd: Sequence[Peer]) -> None:
    """Let all of them leave."""
    for each in crowd:
        each.hang_up()
    await asyncio.sleep(0.1)


class Door(Device):
    """A device at another address than the crowd's."""

    def __init__(self, service: Running) -> None:
        connector = aiohttp.TCPConnector(local_addr=(DOOR, 0))
        super().__init__(aiohttp.ClientSession(service.url, connector=connector))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        session: Any = self.http
        await session.close()

    async def metrics(self) -> str:
        """In Prometheus' text format."""
        async with self.http.get("/metrics") as response:
            return await response.text()

    async def until(self, name: str, happened: Callable[[float], bool]) -> None:
        """Wait until a sample of the metrics is as it must become."""
        async with asyncio.timeout(60):
            while not happened(metric(await self.metrics(), name)):  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.1)


def metric(told: str, name: str) -> float:
    """The value of a sample, 0 where there is none."""
    lines = [line for line in told.splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0
