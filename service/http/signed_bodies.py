"""The body of a signed request to /v1: read whole, and found to be the one that was signed, before anybody uses it."""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol

from service.errors import BadSignature, UnsupportedBody
from service.http.forms import FormLimits, receiving, too_large
from service.http.keys import SIGNED_BODY, UPLOAD


async def read_signed_body(request: web.Request, limits: FormLimits, sha256: str) -> None:
    """Read the body, whose digest must be `sha256` (64 hex digits); forms.content_of gives it to who asks next.

    Raises BadSignature, ImageTooLarge, Overloaded, UnsupportedBody for one in another encoding than was signed, and
    InvalidRequest for one that is malformed or takes too long.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedBody("Send a signed body as it is, without Content-Encoding.")
    if (request.content_length or 0) > limits.max_body_bytes:
        raise too_large(limits.max_image_bytes)
    read, digest = request[UPLOAD].buffer(), hashlib.sha256()
    async with receiving(request, limits, "The body is malformed; check that it is complete."):
        async for chunk in request.content.iter_any():
            read.add(chunk)
            digest.update(chunk)
            if len(read) > limits.max_body_bytes:
                raise too_large(limits.max_image_bytes)
    if digest.hexdigest() != sha256.lower():
        raise BadSignature(
            "The body is not the one that was signed; below /v1, X-Content-SHA256 is the digest of the whole body."
        )
    request[SIGNED_BODY] = _stream(read.take())


def _stream(body: bytes) -> StreamReader:
    """As if the body had just arrived; the limit is such that nothing asks the connection to wait."""
    stream = StreamReader(BaseProtocol(asyncio.get_running_loop()), limit=len(body) + 1)
    stream.feed_data(body)
    stream.feed_eof()
    return stream
