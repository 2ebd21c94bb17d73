"""Reads photos as they arrive, in forms part by part, and stops where they grow too large or take too long."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http import HttpProcessingError, HttpVersion11

from service.errors import BadSignature, ImageTooLarge, InvalidRequest
from service.http.keys import FORM, SIGNED_BODY
from service.values import MAX_REMARK

MAX_FIELD = 8 * MAX_REMARK
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
        images, texts = await read_parts(request, limits, ("image",), sha256, texts=("remark",))
        request[FORM] = Form(images["image"], texts.get("remark"))
    return request[FORM]


async def read_parts(
    request: web.Request,
    limits: FormLimits,
    names: tuple[str, ...],
    sha256: str | None = None,
    *,
    texts: tuple[str, ...] = (),
) -> tuple[dict[str, bytes], dict[str, str]]:
    """The images of those names in a multipart/form-data body, the first of which must be there, and some texts.

    Raises what read_form raises.
    """
    malformed = "The multipart body is malformed; check its boundary and that it is complete."
    async with receiving(request, limits, malformed):
        return await _read_parts(request, limits, names, texts, sha256)


@asynccontextmanager
async def receiving(request: web.Request, limits: FormLimits, malformed: str) -> AsyncIterator[None]:
    """Ask for the body if the client waits for that, and give up what takes too long to arrive.

    Raises InvalidRequest then, and with the sentence `malformed` where the block can't read what came.
    """
    await send_continue(request)
    async with arriving(limits, malformed):
        yield


@asynccontextmanager
async def arriving(limits: FormLimits, malformed: str) -> AsyncIterator[None]:
    """The same for a part of a body that was asked for already."""
    try:
        async with asyncio.timeout(limits.receive_s):
            yield
    except TimeoutError:
        raise InvalidRequest(f"The photo took over {limits.receive_s:g} s to arrive; send a smaller one.") from None
    except _MALFORMED as error:
        raise InvalidRequest(malformed) from error


def too_large(max_image_bytes: int) -> ImageTooLarge:
    """What is said of a photo with more bytes."""
    return ImageTooLarge(f"The image has more than {max_image_bytes} bytes; send a smaller one.")


async def defer_continue(request: web.Request) -> None:
    """A route's answer to `Expect: 100-continue`: nothing yet, `read_form` asks for the body once it is wanted."""


def content_of(request: web.Request) -> StreamReader:
    """The body: as it arrives or, of a request that a device has signed, the one that was read and found to be it."""
    signed = request.get(SIGNED_BODY)
    return request.content if signed is None else signed


def multipart_of(request: web.Request) -> MultipartReader:
    """The parts of the body. Raises one of what `arriving` takes for malformed where there is no boundary."""
    return MultipartReader(request.headers, content_of(request))


async def send_continue(request: web.Request) -> None:
    """Ask for the body, where the client waits to be asked and hasn't been."""
    if SIGNED_BODY in request:
        return
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _read_parts(
    request: web.Request, limits: FormLimits, names: tuple[str, ...], texts: tuple[str, ...], sha256: str | None
) -> tuple[dict[str, bytes], dict[str, str]]:
    images: dict[str, bytes] = {}
    read: dict[str, str] = {}
    parts = multipart_of(request)
    left = limits.max_body_bytes
    for _ in range(_MAX_PARTS):
        part = await parts.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise InvalidRequest("Send the photo itself in the part `image`, not a multipart body.")
        if part.name in names and part.name not in images:
            images[part.name] = await _read_image(part, limits.max_image_bytes, sha256)
            left -= len(images[part.name])
        elif part.name in texts and part.name not in read:
            read[part.name] = text_of_part(part.name, await _read(part, MAX_FIELD))
        else:
            left -= await _skip(part, left)
    if not images.get(names[0]):
        raise InvalidRequest("There is no photo; send it in the part `image`.")
    return images, read


async def _read_image(part: BodyPartReader, max_image_bytes: int, sha256: str | None) -> bytes:
    """The image's bytes, whose digest is taken as they come where one is asked for."""
    digest = None if sha256 is None else hashlib.sha256()
    image = await _read(part, max_image_bytes, digest)
    if image is None:
        raise too_large(max_image_bytes)
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


def text_of_part(name: str, field: bytes | None) -> str:
    """A text field; None is one that was too long. Raises InvalidRequest."""
    if field is None and name == "remark":
        raise InvalidRequest(f"The remark is longer than {MAX_REMARK} characters; shorten it.")
    if field is None:
        raise InvalidRequest(f"The part `{name}` has more than {MAX_FIELD} bytes; shorten it.")
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"The {name} is not UTF-8; send it as UTF-8.") from None
