"""The lines of an exported gallery as they arrive, compressed or not, of any number in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import StreamReader, web

from service.errors import InvalidRequest, UnsupportedBody, UnusableArchive
from service.http.forms import FormLimits, content_of, send_continue
from service.moving.inflating import inflated

MAX_LINE_BYTES = 16 * 2**20
"""A picture of 4,096 pixels has about 5 MB."""
_AT_ONCE = 2**18
"""Bytes that are read, and that are decompressed, at once: a few compressed ones may stand for very many."""


async def archive_lines(request: web.Request, limits: FormLimits) -> AsyncIterator[bytes]:
    """The body's lines, each with its newline; what follows the last newline is left out. Whether
    the body is compressed, its first bytes say, with a header or without, as those of a file.

    Raises UnsupportedBody for another encoding than gzip, UnusableArchive for a line that is too long, and
    InvalidRequest where the body ends early or is malformed, or a piece of it takes longer than `limits.receive_s`.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedBody("Send the archive as it is, or compressed by gzip.")
    await send_continue(request)
    received = _received(content_of(request), limits.receive_s)
    rest = bytearray()
    async for piece in inflated(received):
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield bytes(rest + line) + b"\n"
            rest.clear()
        rest += last
        if len(rest) > MAX_LINE_BYTES:
            raise UnusableArchive(f"a line has more than {MAX_LINE_BYTES} bytes")


async def _received(content: StreamReader, receive_s: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(receive_s):
                chunk = await content.read(_AT_ONCE)
        except (OSError, web.RequestPayloadError, ValueError):  # too slow, gone, or malformed
            raise _incomplete() from None
        if not chunk:
            return
        yield chunk


def _incomplete() -> InvalidRequest:
    return InvalidRequest("The archive did not arrive as a whole; send it again.")
