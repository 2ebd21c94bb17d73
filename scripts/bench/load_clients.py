"""Clients that register or recognise as fast as they are answered, each on a connection of its own, in one process.

Run as `python -m scripts.bench.load_clients URL OPERATION CLIENTS SECONDS ADDRESS [SECRET] < paths`; prints one
JSON object. With a secret the device `load` signs.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from scripts.device_client import signed_headers

DEVICE, ADDRESS = "load", "127.0.0.1"
BOUNDARY = "load"
PATHS = {"register": "/registration_face?remark=load{number}", "recognise": "/recognition_face"}
BUSY_S = 0.25
"""How long a client that was refused waits: less than it is told, so that the service has to bear it."""


@dataclass(slots=True)
class Counts:
    """Milliseconds of each answer that was accepted; photos without a usable face count, for they were looked at."""

    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    refused: int = 0
    broken: int = 0

    def report(self) -> dict[str, float]:
        """Numbers for people."""
        took = sorted(self.took)
        at = {f"p{share}_ms": _quantile(took, share) for share in (50, 95, 99)}
        return {
            "answered": len(took),
            "per_second": len(took) / self.seconds,
            **at,
            "refused": self.refused,
            "broken": self.broken,
        }


class Connection:
    """Keep-alive HTTP/1.1, by hand: what a client costs here is not the service's."""

    def __init__(self, url: str, address: str) -> None:
        """`address` is the local one."""
        parts = urlsplit(url)
        self._host, self._port, self._address = str(parts.hostname), parts.port or 80, address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, head: str, body: bytes = b"") -> bytes:
        """The answer's body. Raises OSError or asyncio.IncompleteReadError where it doesn't come."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, local_addr=(self._address, 0))
        reader, writer = self._streams
        try:
            writer.write(f"{head}\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            answered = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answered.partition(b"content-length:")[2].partition(b"\r\n")[0])
            content = await reader.readexactly(length)
        except BaseException:
            self.close()
            raise
        if b"connection: close" in answered:
            self.close()
        return content

    def close(self) -> None:
        """The next question opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def photo_request(operation: str, photo: bytes, number: int, secret: str = "") -> tuple[str, bytes]:
    """A head and a body; every photo differs, so that each registration is a new face."""
    photo += f"{number:09}".encode()
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="1.jpg"\r\n\r\n'.encode()
    body = part + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
    path = PATHS[operation].format(number=number)
    head = f"POST {path} HTTP/1.1\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}"
    if secret:
        plain, _, query = path.partition("?")
        signed = signed_headers(DEVICE, secret, "POST", plain, query, photo)
        head += "".join(f"\r\n{name}: {value}" for name, value in signed.items())
    return head, body


async def load(  # noqa: PLR0917 - all of them are the run's
    url: str, operation: str, photos: list[bytes], clients: int, seconds: float, address: str, secret: str = ""
) -> Counts:
    """What the clients met."""
    counts, numbers = Counts(), itertools.count(time.time_ns() % 10**8)
    began = time.perf_counter()
    until = began + seconds
    endless = itertools.cycle(photos)
    each = (url, operation, endless, numbers, until, address, secret, counts)
    await asyncio.gather(*(_client(*each) for _ in range(clients)))
    counts.seconds = time.perf_counter() - began
    return counts


async def _client(  # noqa: PLR0917 - all of them are the run's
    url: str,
    operation: str,
    photos: Iterator[bytes],
    numbers: Iterator[int],
    until: float,
    address: str,
    secret: str,
    counts: Counts,
) -> None:
    connection = Connection(url, address)
    while time.perf_counter() < until:
        head, body = photo_request(operation, next(photos), next(numbers), secret)
        began = time.perf_counter()
        try:
            answer = await connection.ask(head, body)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            counts.broken += 1
            await asyncio.sleep(BUSY_S)
            continue
        if b"try again" in answer:
            counts.refused += 1
            await asyncio.sleep(BUSY_S)
        else:
            counts.took.append((time.perf_counter() - began) * 1000)
    connection.close()


def _quantile(ordered: list[float], share: int) -> float:
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)] if ordered else float("nan")


async def run_clients(  # noqa: PLR0917 - all of them are the run's
    url: str,
    operation: str,
    photos: Sequence[Path],
    clients: int,
    seconds: float,
    address: str = ADDRESS,
    secret: str = "",
) -> dict[str, float]:
    """The same in a process of its own; the report."""
    command = ("-m", "scripts.bench.load_clients", url, operation, str(clients), str(seconds), address)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, *([secret] if secret else [])),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate("\n".join(map(str, photos)).encode())
    report: dict[str, float] = json.loads(said)
    return report


def main() -> None:
    url, operation, clients, seconds, address, *secret = sys.argv[1:]
    photos = [Path(line.strip()).read_bytes() for line in sys.stdin]
    with suppress(KeyboardInterrupt):
        counts = asyncio.run(load(url, operation, photos, int(clients), float(seconds), address, *secret))
        print(json.dumps(counts.report()))


if __name__ == "__main__":
    main()
