"""The API's document after OpenAPI 3.1, made from the operations that the handlers are made from."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import __version__, errors
from service.devices import signatures
from service.devices.operations import DEVICE_OPERATIONS
from service.errors import FaceServiceError
from service.http.rest_api.answers import Problem
from service.http.rest_api.batch_form import MAX_PHOTOS
from service.http.rest_api.json_bodies import Body, PhotoBody, RegisterBody, TwoPhotosBody
from service.http.rest_api.operations import Operation, Takes
from service.http.rest_api.paths import PATH_SCHEMAS
from service.http.rest_api.problems import CONTENT_TYPE, HTTP_CODES, RETRY_AFTER_S, status_of
from service.http.rest_api.queries import KeptFields

COMMON_ERRORS = (errors.InvalidRequest, errors.Unauthenticated, errors.OperationDenied, errors.StoreUnavailable)
"""What every operation may say."""
DEVICE_ERRORS = (errors.ImageTooLarge, errors.UnsupportedBody, errors.RateExceeded, errors.NoncesUnavailable)
"""What it may say beside those where a device may ask for it, whose signature and body are looked at."""

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/gif", "image/tiff")
"""Named in the document; any image/* is read, by its bytes."""

_REF = "#/components/schemas/{model}"
_PROBLEM: dict[str, Any] = {"$ref": _REF.format(model="Problem")}
_REQUEST_ID = {
    "X-Request-Id": {
        "required": True,
        "description": "Stands in the service's log too.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    }
}
_KEY = "key"
_SIGNATURE = (
    *(signatures.DEVICE_ID, signatures.TIMESTAMP, signatures.NONCE),
    *(signatures.CONTENT_SHA256, signatures.SIGNATURE),
)
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1}

TITLE = "Face service"
DESCRIPTION = "Registers faces and recognises them. Every failure is a problem document after RFC 9457."


def document(operations: Sequence[Operation[Any]]) -> dict[str, Any]:
    """The whole document, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    models: list[type[BaseModel]] = [Problem, *(each.answer for each in operations if each.answer is not None)]
    _, answers = models_json_schema([(each, "serialization") for each in dict.fromkeys(models)], ref_template=_REF)
    taken = dict.fromkeys(body for each in operations if (body := _json_body(each.takes)) is not None)
    _, bodies = models_json_schema([(each, "validation") for each in taken], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": __version__, "description": DESCRIPTION},
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {"schemas": {**answers["$defs"], **bodies["$defs"]}, "securitySchemes": _security_schemes()},
    }


def _operation(operation: Operation[Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": _security(operation),
        "parameters": parameters(operation),
        "responses": _responses(operation),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.takes is not Takes.NOTHING:
        told["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return told


def _security_schemes() -> dict[str, Any]:
    about = "docs/device-authentication.md describes it; its operations are those of the device"
    headers = [(each, {"type": "apiKey", "in": "header", "name": each, "description": about}) for each in _SIGNATURE]
    about_keys = "A key of the service's operator, for some operations and galleries."
    return {_KEY: {"type": "http", "scheme": "bearer", "description": about_keys}, **dict(headers)}


def _security(operation: Operation[Any]) -> list[dict[str, list[str]]]:
    """A key or, where devices may ask for it, all headers of a signature; each with the operation that it must allow.

    The last one is nothing: a service that was told of neither asks nobody.
    """
    needs: list[str] = [operation.needs]
    signed = dict.fromkeys(_SIGNATURE, needs)
    return [{_KEY: needs}, *([signed] if _is_for_devices(operation) else []), {}]


def _is_for_devices(operation: Operation[Any]) -> bool:
    return operation.needs in DEVICE_OPERATIONS


def parameters(operation: Operation[Any]) -> list[dict[str, Any]]:
    """Those of the path and of the query."""
    found: list[dict[str, Any]] = []
    for name, schema in PATH_SCHEMAS.items():
        if f"{{{name}}}" in operation.path:
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
    schema = operation.query.model_json_schema()
    required = schema.get("required", [])
    for name, told in schema.get("properties", {}).items():
        one: dict[str, Any] = {"name": name, "in": "query", "required": name in required}
        if "description" in told:
            one["description"] = told["description"]
        found.append({**one, "schema": _without_null(told)})
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema: one that isn't there is none, not null."""
    kept = {name: value for name, value in schema.items() if name not in {"anyOf", "title", "description"}}
    kept |= next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), {})
    return {name: value for name, value in kept.items() if (name, value) != ("default", None)}


def _json_body(takes: Takes | type[Body]) -> type[Body] | None:
    """The model of the body where it is JSON; None where it can't be."""
    photos: dict[Takes, type[Body]] = {
        Takes.PHOTO: PhotoBody,
        Takes.PHOTOS: TwoPhotosBody,
        Takes.REGISTRATION: RegisterBody,
    }
    return photos.get(takes) if isinstance(takes, Takes) else takes


def _content(takes: Takes | type[Body]) -> dict[str, Any]:
    if takes is Takes.ARCHIVE:
        return {"application/x-ndjson": {"schema": _BINARY}}
    if takes is Takes.BATCH:
        return {"multipart/form-data": {"schema": _batch_form()}}
    body = _json_body(takes)
    assert body is not None  # noqa: S101 - an operation that takes nothing has no body
    in_json = {"application/json": {"schema": {"$ref": _REF.format(model=body.__name__)}}}
    if not isinstance(takes, Takes):
        return in_json
    parts = {"image": _BINARY, **({"other_image": _BINARY} if takes is Takes.PHOTOS else {})}
    if takes is Takes.REGISTRATION:
        parts |= _kept_fields()
    form = {"type": "object", "properties": parts, "required": ["image"], "additionalProperties": False}
    return {
        **{each: {"schema": _BINARY} for each in IMAGE_TYPES},
        "multipart/form-data": {"schema": form},
        **in_json,
    }


def _kept_fields() -> dict[str, dict[str, Any]]:
    return {name: _without_null(told) for name, told in KeptFields.model_json_schema()["properties"].items()}


def _batch_form() -> dict[str, Any]:
    """Each part may come as often as there are photos; a schema can't say in which order."""
    each = {**_kept_fields(), "image": _BINARY}
    parts = {name: {"type": "array", "items": one, "maxItems": MAX_PHOTOS} for name, one in each.items()}
    parts["image"]["minItems"] = 1
    return {"type": "object", "properties": parts, "required": ["image"], "additionalProperties": False}


def _responses(operation: Operation[Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase, "headers": {**_REQUEST_ID}}
    if operation.answer is not None:
        schema = {"$ref": _REF.format(model=operation.answer.__name__)}
        success["content"] = {operation.media_type: {"schema": schema, "example": operation.example}}
    elif operation.status != HTTPStatus.NO_CONTENT:
        success["content"] = {operation.media_type: {"schema": {"contentMediaType": operation.media_type}}}
    responses = {str(operation.status): success}
    if operation.or_status is not None:
        responses[str(operation.or_status)] = {**success, "description": HTTPStatus(operation.or_status).phrase}
    if operation.media_type == "image/jpeg":
        success["headers"]["ETag"] = {"required": True, "schema": {"type": "string"}}
        responses["304"] = {"description": "Not Modified", "headers": {**_REQUEST_ID}}
    common = (*COMMON_ERRORS, *DEVICE_ERRORS) if _is_for_devices(operation) else COMMON_ERRORS
    raised: tuple[type[FaceServiceError], ...] = tuple(dict.fromkeys((*common, *operation.raises)))
    for status in sorted({*map(status_of, raised), 500}):
        responses[str(status)] = _failure(status, raised)
    return responses


def _failure(status: int, raised: Sequence[type[FaceServiceError]]) -> dict[str, Any]:
    codes = sorted({code for each in raised for code in codes_of(each) if status_of(each) == status})
    headers: dict[str, Any] = {**_REQUEST_ID}
    if any(status_of(each) == status and each in RETRY_AFTER_S for each in raised):
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer"}}
    said = f" `code`: {', '.join(codes)}." if codes else " `code`: unforeseen."
    return {
        "description": f"{HTTPStatus(status).phrase}.{said}",
        "headers": headers,
        "content": {CONTENT_TYPE: {"schema": _PROBLEM, "example": _example(status, codes)}},
    }


def codes_of(error: type[FaceServiceError]) -> list[str]:
    """The slugs of a class, and of those below it that have its status."""
    return [
        error.code,
        *(code for each in error.__subclasses__() if status_of(each) == status_of(error) for code in codes_of(each)),
    ]


def _example(status: int, codes: Sequence[str]) -> dict[str, Any]:
    code = codes[0] if codes else HTTP_CODES.get(status, "unforeseen")
    return {
        "type": f"/docs#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": "One sentence that says what to do.",
        "code": code,
        "request_id": "88650fc3ee764c6b",
    }
