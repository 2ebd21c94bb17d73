"""Reads what comes to /v1 in bodies: photos, never an address to fetch one from, what is kept beside them, and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from service.errors import InvalidRequest, UnsupportedBody
from service.http.forms import FormLimits, content_of, read_parts, receiving, too_large
from service.http.keys import UPLOAD
from service.http.rest_api.fields import Model, read_fields
from service.http.rest_api.json_bodies import PhotoBody, RegisterBody, TwoPhotosBody, read_json
from service.http.rest_api.queries import KeptFields

_JSON_BESIDE_PHOTO = 64 * 1024
"""Bytes for all else in a body that has a photo."""
_MAX_PLAIN_BODY = 256 * 1024
"""Bytes of one without a photo; the largest is an embedding, 512 numbers of some twenty characters."""

IMAGE, OTHER_IMAGE = "image", "other_image"
"""The names of parts and members."""


async def read_photo(request: web.Request, limits: FormLimits) -> bytes:
    """The one photo of a request. Raises InvalidRequest, UnsupportedBody or ImageTooLarge."""
    return (await _read(request, limits, (IMAGE,)))[IMAGE]


async def read_photos(request: web.Request, limits: FormLimits) -> tuple[bytes, bytes | None]:
    """A photo and, where it came, the other one that it is compared with; raises what read_photo raises."""
    images = await _read(request, limits, (IMAGE, OTHER_IMAGE))
    return images[IMAGE], images.get(OTHER_IMAGE)


async def read_body(request: web.Request, limits: FormLimits, model: type[Model]) -> Model:
    """A body that is JSON and has no photo. Raises InvalidRequest or UnsupportedBody."""
    if request.content_type != "application/json":
        raise UnsupportedBody("Send the body as application/json.")
    content = await read_content(request, limits, _MAX_PLAIN_BODY)
    if content is None:
        raise InvalidRequest(f"The body has more than {_MAX_PLAIN_BODY} bytes; send only what this operation takes.")
    return read_json(content, model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A photo, and what is to be kept beside its faces."""

    photo: bytes
    remark: str
    metadata: Mapping[str, Any] | None
    expires_at: datetime | None


async def read_registration(request: web.Request, query: KeptFields, limits: FormLimits) -> Registration:
    """A photo with what the query says to keep, or what stands beside the photo in the form or in the JSON body.

    Raises what read_photo raises, and InvalidRequest for what is said in both, and where there is no remark.
    """
    images, beside = await _read_with_fields(request, limits)
    kept = {name: getattr(query, name) for name in KeptFields.model_fields}
    for name, value in beside.items():
        if kept[name] is not None:
            raise InvalidRequest(f"`{name}` stands in the query and beside the photo; send it once.")
        kept[name] = value
    if kept["remark"] is None:
        raise InvalidRequest("There is no remark; send it in the query, or beside the photo.")
    return Registration(photo=images[IMAGE], **kept)


async def _read_with_fields(request: web.Request, limits: FormLimits) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The photo, and those of the fields that stand beside it."""
    if request.content_type == "multipart/form-data":
        images, texts = await read_parts(request, limits, (IMAGE,), texts=tuple(KeptFields.model_fields))
        fields: KeptFields | RegisterBody = read_fields(texts, KeptFields, "part")
    elif request.content_type == "application/json":
        fields = read_json(await read_photo_json(request, limits), RegisterBody)
        images = _within({IMAGE: fields.image}, limits)
    else:
        return await _read(request, limits, (IMAGE,)), {}
    _require(images)
    return images, {
        name: getattr(fields, name) for name in KeptFields.model_fields if getattr(fields, name) is not None
    }


async def _read(request: web.Request, limits: FormLimits, names: tuple[str, ...]) -> dict[str, bytes]:
    if request.content_type == "multipart/form-data":
        images, _ = await read_parts(request, limits, names)
    elif request.content_type == "application/json":
        images = await _read_images(request, limits, two=len(names) > 1)
    elif request.content_type.startswith("image/"):
        content = await read_content(request, limits, limits.max_image_bytes)
        if content is None:
            raise too_large(limits.max_image_bytes)
        images = {IMAGE: content}
    else:
        raise UnsupportedBody("Send the photo as image/*, as multipart/form-data or as base64 in application/json.")
    _require(images)
    return images


async def _read_images(request: web.Request, limits: FormLimits, *, two: bool) -> dict[str, bytes]:
    content = await read_photo_json(request, limits, photos=1 + two)
    body: PhotoBody | TwoPhotosBody = read_json(content, TwoPhotosBody) if two else read_json(content, PhotoBody)
    images = {IMAGE: body.image}
    if isinstance(body, TwoPhotosBody) and body.other_image is not None:
        images[OTHER_IMAGE] = body.other_image
    return _within(images, limits)


async def read_photo_json(request: web.Request, limits: FormLimits, *, photos: int = 1) -> bytes:
    """A body that is JSON and has photos in base64, unread. Raises ImageTooLarge, and what `receiving` raises."""
    in_base64 = (limits.max_image_bytes + 2) // 3 * 4
    content = await read_content(request, limits, in_base64 * photos + _JSON_BESIDE_PHOTO)
    if content is None:
        raise too_large(limits.max_image_bytes)
    return content


def _within(images: dict[str, bytes], limits: FormLimits) -> dict[str, bytes]:
    if any(len(image) > limits.max_image_bytes for image in images.values()):
        raise too_large(limits.max_image_bytes)
    return images


def _require(images: dict[str, bytes]) -> None:
    if not all(images.values()):
        raise InvalidRequest("There is no photo; the body, part or member that should have it is empty.")


async def read_content(request: web.Request, limits: FormLimits, limit: int) -> bytes | None:
    """The whole body, None where it has more than `limit` bytes."""
    if request.content_length is not None and request.content_length > limit:
        return None
    read = request[UPLOAD].buffer()
    async with receiving(request, limits, "The body is malformed; check that it is complete."):
        async for chunk in content_of(request).iter_any():
            read.add(chunk)
            if len(read) > limit:
                return None
    return read.take()
