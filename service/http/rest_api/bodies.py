"""Photos that come to /v1: the body itself, parts of a form, or base64 in JSON; never an address to fetch one from."""

from __future__ import annotations

from aiohttp import web

from service.errors import InvalidRequest, UnsupportedBody
from service.http.forms import FormLimits, content_of, read_parts, receiving, too_large
from service.http.rest_api.queries import EmbeddingBody, PhotoBody, TwoPhotosBody, read_json

_MAX_EMBEDDING_BODY = 256 * 1024
"""Bytes; an embedding has 512 numbers of some twenty characters."""

IMAGE, OTHER_IMAGE = "image", "other_image"
"""The names of parts and members."""


async def read_photo(request: web.Request, limits: FormLimits) -> bytes:
    """The one photo of a request. Raises InvalidRequest, UnsupportedBody or ImageTooLarge."""
    return (await _read(request, limits, (IMAGE,)))[IMAGE]


async def read_photos(request: web.Request, limits: FormLimits) -> tuple[bytes, bytes | None]:
    """A photo and, where it came, the other one that it is compared with; raises what read_photo raises."""
    images = await _read(request, limits, (IMAGE, OTHER_IMAGE))
    return images[IMAGE], images.get(OTHER_IMAGE)


async def read_embedding(request: web.Request, limits: FormLimits) -> EmbeddingBody:
    """The body of a search by embedding. Raises InvalidRequest or UnsupportedBody."""
    if request.content_type != "application/json":
        raise UnsupportedBody("Send the embedding as application/json.")
    content = await _read_content(request, limits, _MAX_EMBEDDING_BODY)
    if content is None:
        raise InvalidRequest("The body is too large for an embedding; send its 512 numbers only.")
    return read_json(content, EmbeddingBody)


async def _read(request: web.Request, limits: FormLimits, names: tuple[str, ...]) -> dict[str, bytes]:
    if request.content_type == "multipart/form-data":
        images, _ = await read_parts(request, limits, names)
    elif request.content_type == "application/json":
        images = await _read_json(request, limits, two=len(names) > 1)
    elif request.content_type.startswith("image/"):
        content = await _read_content(request, limits, limits.max_image_bytes)
        if content is None:
            raise too_large(limits.max_image_bytes)
        images = {IMAGE: content}
    else:
        raise UnsupportedBody("Send the photo as image/*, as multipart/form-data or as base64 in application/json.")
    if not all(images.values()):
        raise InvalidRequest("There is no photo; the body, part or member that should have it is empty.")
    return images


async def _read_json(request: web.Request, limits: FormLimits, *, two: bool) -> dict[str, bytes]:
    in_base64 = (limits.max_image_bytes + 2) // 3 * 4 + 1024
    content = await _read_content(request, limits, in_base64 * (1 + two))
    if content is None:
        raise too_large(limits.max_image_bytes)
    body: PhotoBody | TwoPhotosBody = read_json(content, TwoPhotosBody) if two else read_json(content, PhotoBody)
    images = {IMAGE: body.image}
    if isinstance(body, TwoPhotosBody) and body.other_image is not None:
        images[OTHER_IMAGE] = body.other_image
    if any(len(image) > limits.max_image_bytes for image in images.values()):
        raise too_large(limits.max_image_bytes)
    return images


async def _read_content(request: web.Request, limits: FormLimits, limit: int) -> bytes | None:
    """The whole body, None where it has more than `limit` bytes."""
    if request.content_length is not None and request.content_length > limit:
        return None
    read = bytearray()
    async with receiving(request, limits, "The body is malformed; check that it is complete."):
        async for chunk in content_of(request).iter_any():
            read += chunk
            if len(read) > limit:
                return None
    return bytes(read)
