"""Reads a registration's or a recognition's form once, part by part, and stops where it grows too large."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from service.errors import FaceServiceError, ImageTooLarge
from service.faces import MAX_REMARK

_MAX_FIELD = 8 * MAX_REMARK
"""Bytes of a text field that are read before it is refused: more than MAX_REMARK characters of UTF-8 can have."""
_MAX_PARTS = 32

# What aiohttp's parser raises on a malformed body.
_MALFORMED = (ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError)


class BadForm(FaceServiceError):
    """A form that lacks what it must hold, or that can't be read."""

    code = "bad_form"


@dataclass(frozen=True, slots=True)
class Form:
    """The photo's bytes and, where there was one, the remark field."""

    image: bytes
    remark: str | None


async def read_form(request: web.Request, max_image: int) -> Form:
    """The parts `image` and `remark` of a multipart/form-data body; others are passed over.

    Raises BadForm, and ImageTooLarge as soon as more than `max_image` bytes of the image have come.
    """
    if request.content_type != "multipart/form-data":
        raise BadForm("Send the photo as multipart/form-data, in the part `image`.")
    image: bytes | None = None
    remark: str | None = None
    try:
        parts = await request.multipart()
        for _ in range(_MAX_PARTS):
            part = await parts.next()
            if part is None:
                break
            if not isinstance(part, BodyPartReader):
                raise BadForm("Send the photo itself in the part `image`, not a multipart body.")
            if part.name == "image" and image is None:
                image = await _read(part, max_image)
                if image is None:
                    raise ImageTooLarge(f"The image has more than {max_image} bytes; send a smaller one.")
            elif part.name == "remark" and remark is None:
                remark = _text(await _read(part, _MAX_FIELD))
            else:
                await part.release()
    except _MALFORMED as error:
        raise BadForm("The multipart body is malformed; check its boundary and that it is complete.") from error
    if not image:
        raise BadForm("There is no photo; send it in the part `image`.")
    return Form(image, remark)


async def _read(part: BodyPartReader, limit: int) -> bytes | None:
    """The part's bytes, None where there are more than `limit`."""
    read = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        read += chunk
        if len(read) > limit:
            return None
    return bytes(read)


def _text(field: bytes | None) -> str:
    if field is None:
        raise BadForm(f"The remark is longer than {MAX_REMARK} characters; shorten it.")
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise BadForm("The remark is not UTF-8; send it as UTF-8.") from None
