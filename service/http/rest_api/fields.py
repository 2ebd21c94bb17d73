"""The kinds of values that /v1 accepts, whether they stand in a path, a query, a form or a JSON body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainValidator, ValidationError, WithJsonSchema

from service.errors import InvalidRequest
from service.gallery.metadata import MAX_METADATA_KEYS, parsed_metadata, usable_metadata
from service.values import DEFAULT_GALLERY, MAX_FACE_ID, MAX_REMARK

WHOLE_NUMBER, NUMBER = re.compile(r"[0-9]{1,20}"), re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
GALLERY_PATTERN = "^[a-z0-9][a-z0-9_-]{0,63}$"
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)

Model = TypeVar("Model", bound=BaseModel)


def spelled(pattern: re.Pattern[str]) -> BeforeValidator:
    """Texts of another spelling are refused which Python would take for a number, such as `1_000`."""

    def check(text: object) -> object:
        if isinstance(text, str) and not pattern.fullmatch(text):
            raise ValueError("it must be a number")
        return text

    return BeforeValidator(check)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is not a character") from None
    return text


def _time(text: object) -> datetime:
    found = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    try:
        if found is not None:
            date, time, fraction, offset = found.groups()
            return datetime.fromisoformat(f"{date}T{time}.{(fraction or '0')[:6]:0<6}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("it must be a time with its offset, such as 2030-01-31T18:00:00Z or 2030-01-31T18:00:00+08:00")


def _metadata_text(text: object) -> Mapping[str, Any]:
    if not isinstance(text, str):
        raise ValueError("it must be a JSON object")
    return parsed_metadata(text)


_METADATA_SCHEMA = {"type": "object", "maxProperties": MAX_METADATA_KEYS}

Remark = Annotated[str, Field(min_length=1, max_length=MAX_REMARK, examples=["Zoë"]), AfterValidator(_text)]
FaceNumber = Annotated[int, Field(ge=1, le=MAX_FACE_ID), spelled(WHOLE_NUMBER)]
Limit = Annotated[int, spelled(WHOLE_NUMBER)]
Threshold = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False), spelled(NUMBER)]
GalleryName = Annotated[str, Field(pattern=GALLERY_PATTERN, examples=[DEFAULT_GALLERY])]
Time = Annotated[datetime, PlainValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
"""RFC 3339's; in UTC, to the microsecond, what is beyond is cut off."""
Metadata = Annotated[Mapping[str, Any], PlainValidator(usable_metadata), WithJsonSchema(_METADATA_SCHEMA)]
"""As a member of a JSON body."""
MetadataText = Annotated[
    Mapping[str, Any],
    PlainValidator(_metadata_text),
    WithJsonSchema({"type": "string", "contentMediaType": "application/json", "contentSchema": _METADATA_SCHEMA}),
]
"""As a parameter, or as a part of a form."""


def refusal(error: ValidationError, kind: str) -> InvalidRequest:
    """What can't be used, in a sentence, which quotes names of the API's own only; `kind` is parameter, say."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"There is a {kind} that this operation doesn't have; /docs lists those that it has.")
    if not first["loc"]:
        return InvalidRequest("The body is not the JSON object that this operation takes; /docs shows it.")
    said = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"The {kind} {first['loc'][0]} can't be used: {said[0].lower()}{said[1:]}.")


def read_fields(values: Mapping[str, object], model: type[Model], kind: str) -> Model:
    """The values by their names. Raises InvalidRequest for one that is unknown, missing or can't be used."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise refusal(error, kind) from None
