"""What /v1 accepts beside photos: the parameters of queries and the members of JSON bodies."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from service.errors import InvalidRequest
from service.http.query import require_utf8
from service.values import MAX_FACE_ID, MAX_REMARK

_WHOLE_NUMBER, _NUMBER = re.compile(r"[0-9]{1,20}"), re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_CURSOR = re.compile(r"[0-9]{1,17}-[0-9]{1,16}")

Q = TypeVar("Q", bound=BaseModel)


def _spelled(pattern: re.Pattern[str]) -> BeforeValidator:
    """Texts of another spelling are refused which Python would take for a number, such as `1_000`."""

    def check(text: object) -> object:
        if isinstance(text, str) and not pattern.fullmatch(text):
            raise ValueError("it must be a number")
        return text

    return BeforeValidator(check)


Remark = Annotated[str, Field(min_length=1, max_length=MAX_REMARK, examples=["Zoë"])]
FaceNumber = Annotated[int, Field(ge=1, le=MAX_FACE_ID), _spelled(_WHOLE_NUMBER)]
Limit = Annotated[int, _spelled(_WHOLE_NUMBER)]
Threshold = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False), _spelled(_NUMBER)]


class Query(BaseModel):
    """Base of all queries: a parameter that an operation doesn't have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """Of an operation without parameters."""


class SearchQuery(Query):
    """How faces are looked for."""

    limit: Limit = Field(5, ge=1, le=64, description="Matches of each face.")
    threshold: Threshold | None = Field(None, description="Least score of a match, instead of the service's.")
    fpir: Annotated[float, Field(ge=0.001, le=0.3), _spelled(_NUMBER)] | None = Field(
        None, description="Share of strangers that may be taken for somebody; the threshold follows from it."
    )
    group: Literal["remark", "face"] = Field("remark", description="Whether each remark is there once, or each face.")
    include: Literal["picture"] | None = Field(None, description="`picture`: each match with its picture.")


class VerifyQuery(Query):
    """What a photo is compared with, if not with another photo."""

    remark: Remark | None = Field(None, description="The person of this remark, by the most similar of their faces.")
    face_id: FaceNumber | None = Field(None, description="This registered face.")
    threshold: Threshold | None = Field(None, description="Least similarity of one person's two faces.")


class RegisterQuery(Query):
    """Under what a photo's faces are registered, and which."""

    remark: Remark = Field(description="Whose face it is; kept to the letter.")
    faces: Literal["largest", "single", "all"] | None = Field(
        None, description="The largest face, the only one, or all; by default the one that the service's settings mean."
    )
    quality: Literal["off", "standard", "strict"] | None = Field(
        None, description="How good a face must be, instead of the service's setting."
    )


class ListQuery(Query):
    """Which page of the registered faces."""

    limit: Limit = Field(100, ge=1, le=1000, description="Faces of a page.")
    cursor: str | None = Field(None, pattern=rf"^{_CURSOR.pattern}$", description="`next_cursor` of the page before.")
    remark: Remark | None = Field(None, description="Only faces of this remark.")
    include: Literal["picture"] | None = Field(None, description="`picture`: each face with its picture.")


class FaceQuery(Query):
    """What is told about a face."""

    include: Literal["picture"] | None = Field(None, description="`picture`: with its picture.")


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError("it must be base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it must be base64, without line breaks") from None


_BASE64 = {
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$",
}
Base64 = Annotated[bytes, PlainValidator(_decoded), WithJsonSchema(_BASE64)]


class Body(BaseModel):
    """Base of all JSON bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PhotoBody(Body):
    """A photo in JSON."""

    image: Base64 = Field(description="The photo's bytes.")


class TwoPhotosBody(Body):
    """One photo or two in JSON."""

    image: Base64 = Field(description="The photo's bytes.")
    other_image: Base64 | None = Field(None, description="The photo that it is compared with.")


class EmbeddingBody(Body):
    """An embedding, as `/v1/embed` answers it; it needn't be of length 1."""

    embedding: list[Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]] = Field(
        min_length=512, max_length=512
    )


def read_query(request: web.Request, model: type[Q]) -> Q:
    """The query's parameters. Raises InvalidRequest for one that is unknown, missing, repeated or can't be used."""
    require_utf8(request)
    if len(request.query) != len(set(request.query)):
        raise InvalidRequest("A parameter stands in the query more than once; send each once.")
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise _refusal(error, "parameter") from None


def read_json(content: bytes, model: type[Q]) -> Q:
    """The members of a JSON body. Raises InvalidRequest for one that is unknown, missing or can't be used."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise _refusal(error, "member") from None


def read_face_id(request: web.Request) -> int:
    """The face_id in the path. Raises InvalidRequest for anything else there."""
    text = request.match_info["face_id"]
    if text.isascii() and _WHOLE_NUMBER.fullmatch(text) and 1 <= int(text) <= MAX_FACE_ID:
        return int(text)
    raise InvalidRequest(f"The face_id must be a whole number from 1 to {MAX_FACE_ID}.")


def cursor_of(key: tuple[int, int]) -> str:
    """A place in the list, for clients to hand back."""
    return f"{key[0]}-{key[1]}"


def key_of_cursor(cursor: str) -> tuple[int, int]:
    """The place that a cursor stands for."""
    microseconds, face_id = cursor.split("-")
    return int(microseconds), int(face_id)


def _refusal(error: ValidationError, kind: str) -> InvalidRequest:
    """In a sentence, which quotes names of the API's own only."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"There is a {kind} that this operation doesn't have; /docs lists those that it has.")
    if not first["loc"]:
        return InvalidRequest("The body is not the JSON object that this operation takes; /docs shows it.")
    said = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"The {kind} {first['loc'][0]} can't be used: {said[0].lower()}{said[1:]}.")
