"""Reads a registration's or a recognition's form once, part by part, and stops where it grows too large."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError, HttpVersion11

from service.errors import BadSignature, ImageTooLarge, InvalidRequest
from service.http.keys import FORM
from service.values import MAX_REMARK

_MAX_FIELD = 8 * MAX_REMARK
"""Bytes of a text field that are read before it is refused: more than MAX_REMARK characters of UTF-8 can have."""
_MAX_PARTS = 32
_CHUNK = 64 * 1024

# What aiohttp's parser raises on a malformed body.
_MALFORMED = (ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLimits:
    """`receive_s` is how long the body may take to arrive, in seconds."""

    max_image_bytes: int
    receive_s: float

    @property
    def max_body_bytes(self) -> int:
        """Of all parts together: other parts are passed over, but not without end."""
        return 4 * self.max_image_bytes + 2**20


@dataclass(frozen=True, slots=True)
class Form:
    """The photo's bytes and, where there was one, the remark field."""

    image: bytes
    remark: str | None


async def read_form(request: web.Request, limits: FormLimits, sha256: str | None = None) -> Form:
    """The parts `image` and `remark` of a multipart/form-data body; others are passed over. Asked again, the same form.

    Raises InvalidRequest, ImageTooLarge as soon as too much of the image has come, and BadSignature where the image's
    digest is not `sha256` (64 hex digits).
    """
    if FORM not in request:
        if request.content_type != "multipart/form-data":
            raise InvalidRequest("Send the photo as multipart/form-data, in the part `image`.")
        await _send_continue(request)
        try:
            async with asyncio.timeout(limits.receive_s):
                request[FORM] = await _read_parts(request, limits, sha256)
        except TimeoutError:
            raise InvalidRequest(f"The photo took over {limits.receive_s:g} s to arrive; send a smaller one.") from None
        except _MALFORMED as error:
            raise InvalidRequest(
                "The multipart body is malformed; check its boundary and that it is complete."
            ) from error
    return request[FORM]


async def defer_continue(request: web.Request) -> None:
    """A route's answer to `Expect: 100-continue`: nothing yet, `read_form` asks for the body once it is wanted."""


async def _send_continue(request: web.Request) -> None:
    """Ask for the body, where the client waits to be asked."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _read_parts(request: web.Request, limits: FormLimits, sha256: str | None) -> Form:
    image: bytes | None = None
    remark: str | None = None
    parts = await request.multipart()
    left = limits.max_body_bytes
    for _ in range(_MAX_PARTS):
        part = await parts.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise InvalidRequest("Send the photo itself in the part `image`, not a multipart body.")
        if part.name == "image" and image is None:
            image = await _read_image(part, limits.max_image_bytes, sha256)
            left -= len(image)
        elif part.name == "remark" and remark is None:
            remark = _text(await _read(part, _MAX_FIELD))
        else:
            left -= await _skip(part, left)
    if not image:
        raise InvalidRequest("There is no photo; send it in the part `image`.")
    return Form(image, remark)


async def _read_image(part: BodyPartReader, max_image_bytes: int, sha256: str | None) -> bytes:
    """The image's bytes, whose digest is taken as they come where one is asked for."""
    digest = None if sha256 is None else hashlib.sha256()
    image = await _read(part, max_image_bytes, digest)
    if image is None:
        raise ImageTooLarge(f"The image has more than {max_image_bytes} bytes; send a smaller one.")
    if digest is not None and sha256 is not None and digest.hexdigest() != sha256.lower():
        raise BadSignature("The image is not the one that was signed; X-Content-SHA256 is the digest of its bytes.")
    return image


async def _read(part: BodyPartReader, limit: int, digest: hashlib._Hash | None = None) -> bytes | None:
    """The part's bytes, None where there are more than `limit`."""
    read = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        read += chunk
        if len(read) > limit:
            return None
        if digest is not None:
            digest.update(chunk)
    return bytes(read)


async def _skip(part: BodyPartReader, limit: int) -> int:
    """How many bytes the part had. Raises InvalidRequest where there are more than `limit`."""
    length = 0
    while chunk := await part.read_chunk(_CHUNK):
        length += len(chunk)
        if length > limit:
            raise InvalidRequest("The form is too large; send the photo in the part `image` and nothing else.")
    return length


def _text(field: bytes | None) -> str:
    if field is None:
        raise InvalidRequest(f"The remark is longer than {MAX_REMARK} characters; shorten it.")
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The remark is not UTF-8; send it as UTF-8.") from None
