"""Signed requests as they stand on the wire, open to be tampered with, and files of devices."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.device_client import canonical_query, signed_headers
from tests.support.device import ERRORS, multipart

SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
OLD_SECRET = "00112233445566778899aabbccddeeff" * 2
OTHER_SECRET = "ffeeddccbbaa99887766554433221100" * 2

DEVICES = f"""
[door-7]
secrets = ["{SECRET}", "{OLD_SECRET}"]

[other]
secrets = ["{OTHER_SECRET}"]
enabled = true
operations = ["register", "recognise", "list", "delete"]
note = "beside door-7"

[terminal]
secrets = ["{SECRET}"]
operations = ["recognise"]

[screen]
secrets = ["{SECRET}"]
operations = ["list"]

[stolen]
secrets = ["{SECRET}"]
enabled = false
"""


def devices_file(path: Path, text: str = DEVICES, mode: int = 0o600) -> Path:
    """A file of devices at `path`, with these rights."""
    path.touch(mode)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


@dataclass(frozen=True, slots=True)
class Signed:
    """A request; `target` is the path and query of its first line."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    photo: bytes = b""
    fields: tuple[tuple[str, bytes], ...] = ()
    """Other parts of the form, before the photo."""

    def but(self, **changed: Any) -> Signed:
        return replace(self, **changed)

    def having(self, name: str, *values: str) -> Signed:
        """With these values of a header, none or several, in the place of its own."""
        kept = tuple(each for each in self.headers if each[0] != name)
        return replace(self, headers=kept + tuple((name, value) for value in values))

    def header(self, name: str) -> str:
        return dict(self.headers)[name]

    def wire(self) -> bytes:
        """The request's bytes; the connection ends after its answer."""
        form = multipart(*self.fields, ("image", self.photo)) if self.photo else {}
        body: bytes = form.get("data", b"")
        headers = [*self.headers, *form.get("headers", {}).items(), ("Content-Length", str(len(body)))]
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: service", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode() + body


def signed(method: str, path: str, photo: bytes = b"", device: str = "door-7", **options: Any) -> Signed:
    """A good request; `query` are its parameters, `secret`, `timestamp` and `nonce` the device's, now and new."""
    query = canonical_query(options.pop("query", {}))
    headers = signed_headers(device, options.pop("secret", SECRET), method, path, query, photo, **options)
    return Signed(method, path + (f"?{query}" if query else ""), tuple(headers.items()), photo)


async def answer(port: int, wire: bytes) -> dict[str, Any]:
    """The envelope that the service gives to these bytes."""
    head, body = await exchange(port, wire)
    assert head.startswith(b"HTTP/1.1 200 "), head
    envelope: dict[str, Any] = json.loads(body)
    assert envelope["error"] == ERRORS.get(envelope["code"], "")
    return envelope


async def exchange(port: int, wire: bytes) -> tuple[bytes, bytes]:
    """The head and the body of the answer to these bytes."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(wire)
        await writer.drain()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return head, whole(body) if b"Transfer-Encoding: chunked" in head else body


def whole(chunks: bytes) -> bytes:
    """The body that came in chunks."""
    size, _, rest = chunks.partition(b"\r\n")
    length = int(size, 16)
    return rest[:length] + whole(rest[length + 2 :]) if length else b""


async def code(port: int, request: Signed) -> int:
    return int((await answer(port, request.wire()))["code"])
