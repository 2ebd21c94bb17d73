"""Reads photos as they arrive, in forms part by part, and stops where they grow too large or take too long."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError, HttpVersion11

from service.errors import BadSignature, ImageTooLarge, InvalidRequest
from service.http.keys import FORM, REMARK_CHARSET, SIGNED_BODY, UPLOAD
from service.http.multipart import MAX_BOUNDARY, FormReader
from service.http.part_contents import encoded_limit, may_be_base64, photo_of, text_of
from service.http.part_heads import PartHead, boundary_of
from service.http.uploads import Buffer
from service.values import MAX_REMARK

MAX_FIELD = 8 * MAX_REMARK
"""Bytes of a text field that are read before it is refused: more than MAX_REMARK characters can have."""
MALFORMED = "The form's body ended early, or its chunks are malformed; send it again."
_MAX_PARTS = 32
_TOLD_PARTS = 5


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

    Raises InvalidRequest, ImageTooLarge as soon as too much of the image has come, Overloaded where too much is being
    sent by all, and BadSignature where the digest of the bytes of the image's part is not `sha256` (64 hex digits).
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
    form = form_of(request)
    async with receiving(request, limits, MALFORMED):
        came = await _read_parts(form, request[UPLOAD].buffer, limits, (names, texts), sha256)
    if not came.images.get(names[0]):
        raise InvalidRequest(_missing_photo(came, names[0]))
    charset = request.app[REMARK_CHARSET]
    return came.images, {name: came.text(name, charset) for name in came.texts}


def form_of(request: web.Request) -> FormReader:
    """The parts of the body. Raises InvalidRequest where the request doesn't name their boundary."""
    boundary = (boundary_of(request.headers.get("Content-Type", "")) or "").encode("utf-8", "surrogateescape")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise InvalidRequest("The header Content-Type must name the form's boundary, of 1 to 70 characters.")
    return FormReader(content_of(request), boundary)


@asynccontextmanager
async def receiving(request: web.Request, limits: FormLimits, malformed: str) -> AsyncIterator[None]:
    """Ask for the body if the client waits for that, and give up what takes too long to arrive.

    Raises InvalidRequest then, for a body that is compressed, and with the sentence `malformed` where the body ends
    before its end or is malformed.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise InvalidRequest("The body is compressed; send it as it is, without Content-Encoding.")
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
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise InvalidRequest(malformed) from error


def too_large(max_image_bytes: int) -> ImageTooLarge:
    """What is said of a photo with more bytes."""
    return ImageTooLarge(f"The image has more than {max_image_bytes} bytes; send a smaller one.")


async def defer_continue(request: web.Request) -> None:
    """A route's answer to `Expect: 100-continue`: nothing yet, `read_form` asks for the body once it is wanted."""
    if request.headers.get("Expect", "").strip().lower() != "100-continue":
        raise web.HTTPExpectationFailed


def content_of(request: web.Request) -> StreamReader:
    """The body: as it arrives or, of a request that a device has signed, the one that was read and found to be it."""
    signed = request.get(SIGNED_BODY)
    return request.content if signed is None else signed


async def send_continue(request: web.Request) -> None:
    """Ask for the body, where the client waits to be asked and hasn't been."""
    if SIGNED_BODY not in request and request.version >= HttpVersion11 and "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@dataclass(slots=True)
class _Parts:
    """What has come of a form; of texts their bytes and the charset that their head names."""

    heads: list[PartHead] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, tuple[bytes, str | None]] = field(default_factory=dict)
    form_charset: str | None = None
    """What the field `_charset_` says of all text, as browsers write it."""
    too_many: bool = False

    def text(self, name: str, fallback: str) -> str:
        """One of the texts that came. Raises InvalidRequest where it can't be read."""
        content, charset = self.texts[name]
        return text_of(content, charset or self.form_charset, fallback, name=name)


async def _read_parts(
    form: FormReader,
    buffer: Callable[[], Buffer],
    limits: FormLimits,
    wanted: tuple[tuple[str, ...], tuple[str, ...]],
    sha256: str | None,
) -> _Parts:
    """`wanted` are the names of images and of texts."""
    (names, texts), came = wanted, _Parts()
    left = limits.max_body_bytes
    while (head := await form.next()) is not None:
        if len(came.heads) == _MAX_PARTS:
            came.too_many = True
            break
        came.heads.append(head)
        if head.name in names and not came.images.get(head.name):
            if head.is_multipart:
                raise InvalidRequest(f"Send the photo itself in the part `{head.name}`, not a multipart body.")
            content = await _read_image(form, buffer(), limits.max_image_bytes, sha256)
            left -= len(content)
            came.images[head.name] = photo_in(content, head, limits.max_image_bytes)
        elif head.name in texts and head.name not in came.texts:
            came.texts[head.name] = await _read_text(form, head.name, is_base64=head.is_base64), head.charset
        elif head.name == "_charset_" and came.form_charset is None:
            came.form_charset = (await _read_text(form, head.name, is_base64=False)).decode("latin-1")
        else:
            left -= await _skip(form, left)
    return came


def _missing_photo(came: _Parts, name: str) -> str:
    """In a sentence, with what came instead of the part of that name."""
    if came.too_many:
        return f"There is no photo in the first {_MAX_PARTS} parts of the form; send it in the part `{name}`, alone."
    if not came.heads:
        return f"There is no photo, and the form has no parts at all; send it in the part `{name}`."
    parts = ", ".join(dict.fromkeys(head.described for head in came.heads[:_TOLD_PARTS]))
    return f"There is no photo; send it in the part `{name}`. What came, empty or under another name: {parts}."


async def _read_image(form: FormReader, read: Buffer, max_image_bytes: int, sha256: str | None) -> bytes:
    """The part's bytes as they were sent, whose digest is taken as they come where one is asked for.

    There may be as many as base64 needs for an image of the greatest size, if they begin like base64.
    """
    digest = None if sha256 is None else hashlib.sha256()
    while chunk := await form.chunk():
        read.add(chunk)
        if len(read) > max_image_bytes and (
            len(read) > encoded_limit(max_image_bytes) or not may_be_base64(read.begin(256))
        ):
            raise too_large(max_image_bytes)
        if digest is not None:
            digest.update(chunk)
    if digest is not None and sha256 is not None and digest.hexdigest() != sha256.lower():
        raise BadSignature("The image is not the one that was signed; X-Content-SHA256 is the digest of its bytes.")
    return read.take()


def photo_in(content: bytes, head: PartHead, max_image_bytes: int) -> bytes:
    """The photo that a part's bytes stand for. Raises ImageTooLarge, and InvalidRequest for broken base64."""
    image = photo_of(content, is_base64=head.is_base64)
    if len(image) > max_image_bytes:
        raise too_large(max_image_bytes)
    return image


async def _read_text(form: FormReader, name: str, *, is_base64: bool) -> bytes:
    """The part's bytes, what they stand for where they are base64. Raises InvalidRequest where there are too many."""
    read = bytearray()
    while chunk := await form.chunk():
        read += chunk
        if len(read) > MAX_FIELD:
            raise too_long(name)
    return photo_of(bytes(read), is_base64=True) if is_base64 else bytes(read)


def too_long(name: str) -> InvalidRequest:
    """What is said of a text of over MAX_FIELD bytes."""
    if name == "remark":
        return InvalidRequest(f"The remark is longer than {MAX_REMARK} characters; shorten it.")
    return InvalidRequest(f"The part `{name}` has more than {MAX_FIELD} bytes; shorten it.")


async def _skip(form: FormReader, limit: int) -> int:
    """How many bytes the part had. Raises InvalidRequest where there are more than `limit`."""
    length = 0
    while chunk := await form.chunk():
        length += len(chunk)
        if length > limit:
            raise InvalidRequest("The form is too large; send the photo in the part `image` and nothing else.")
    return length
