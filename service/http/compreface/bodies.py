"""The bodies that CompreFace's API takes: photos in parts of a form or as base64 in JSON, and JSON without photos."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, StrictStr, ValidationError

from service.errors import UnsupportedBody
from service.http.compreface.failures import CONSTRAINT, EMPTY_FIELD, MISSING_PART, refuse_as, refused
from service.http.forms import FormLimits, read_parts, too_large
from service.http.part_contents import photo_of
from service.http.rest_api.bodies import read_content, read_photo_json
from service.http.rest_api.fields import Model

FILE, SOURCE, TARGET = "file", "source_image", "target_image"
"""The names of parts and members."""
MAX_IDS = 1000
"""Examples that one request may delete."""
_MAX_PLAIN_BODY = 256 * 1024


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("it must be base64")
    return photo_of(text.encode("utf-8", "surrogatepass"), is_base64=True)


_Photo = Annotated[bytes, BeforeValidator(_decoded)]


class _Body(BaseModel):
    """Members that CompreFace doesn't have are passed over: its own SDK sends some."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _File(_Body):
    file: _Photo


class _SourceAndTarget(_Body):
    source_image: _Photo
    target_image: _Photo


class Subject(_Body):
    """A subject's name."""

    subject: StrictStr


class ImageIds(RootModel[Annotated[list[StrictStr], Field(max_length=MAX_IDS)]]):
    """The image_ids of examples."""


async def read_photo(request: web.Request, limits: FormLimits) -> bytes:
    """The one photo of a request. Raises InvalidRequest, UnsupportedBody or ImageTooLarge."""
    (photo,) = await _read_photos(request, limits, (FILE,), _File)
    return photo


async def read_source_and_target(request: web.Request, limits: FormLimits) -> tuple[bytes, bytes]:
    """The photos of source_image and target_image; raises what read_photo raises."""
    source, target = await _read_photos(request, limits, (SOURCE, TARGET), _SourceAndTarget)
    return source, target


async def read_body(request: web.Request, limits: FormLimits, model: type[Model]) -> Model:
    """A body without photos, which is JSON whatever its type says. Raises InvalidRequest."""
    content = await read_content(request, limits, _MAX_PLAIN_BODY)
    if content is None:
        raise refused(request, EMPTY_FIELD, f"The body has more than {_MAX_PLAIN_BODY} bytes; send it in parts.")
    return _parsed(request, content, model)


async def _read_photos(
    request: web.Request, limits: FormLimits, names: tuple[str, ...], model: type[BaseModel]
) -> list[bytes]:
    """The photos of those names, each of which must be there."""
    photos: dict[str, Any]
    if request.content_type == "multipart/form-data":
        refuse_as(request, MISSING_PART)
        photos, _ = await read_parts(request, limits, names)
        refuse_as(request, CONSTRAINT)
        missing = MISSING_PART
    elif request.content_type == "application/json":
        content = await read_photo_json(request, limits, photos=len(names))
        photos, missing = dict(_parsed(request, content, model)), EMPTY_FIELD
    else:
        raise UnsupportedBody("Send the photo as multipart/form-data, or as base64 in application/json.")
    for name in names:
        if not photos.get(name):
            raise refused(request, missing, f"There is no photo; send it under the name `{name}`.")
        if len(photos[name]) > limits.max_image_bytes:
            raise too_large(limits.max_image_bytes)
    return [photos[name] for name in names]


def _parsed(request: web.Request, content: bytes, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        where = [str(each) for each in error.errors(include_url=False, include_input=False)[0]["loc"]]
        told = f"the member `{where[0]}`" if where and where[0] in model.model_fields else "the body"
    raise refused(request, EMPTY_FIELD, f"In the JSON, {told} is missing or can't be used; see docs/compreface.md.")
