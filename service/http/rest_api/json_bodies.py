"""The JSON bodies that /v1 accepts: each model is the shape of one, and what the API's document says about it."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, ValidationError, WithJsonSchema

from service.http.rest_api.fields import Metadata, Model, Remark, Time, refusal


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

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class PhotoBody(Body):
    """A photo in JSON."""

    image: Base64 = Field(description="The photo's bytes.")


class TwoPhotosBody(Body):
    """One photo or two in JSON."""

    image: Base64 = Field(description="The photo's bytes.")
    other_image: Base64 | None = Field(None, description="The photo that it is compared with.")


class RegisterBody(PhotoBody):
    """A photo in JSON, and what is to be kept beside its faces."""

    remark: Remark | None = Field(None, description="Whose face it is, unless the query says so.")
    metadata: Metadata | None = Field(None, description="As in the query, but the object itself.")
    expires_at: Time | None = Field(None, description="As in the query.")


class EmbeddingBody(Body):
    """An embedding, as `/v1/embed` answers it; it needn't be of length 1."""

    embedding: list[Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]] = Field(
        min_length=512, max_length=512
    )


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class FaceChangesBody(Body):
    """What shall be otherwise about a face; what isn't there stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"badge": 4711}, "expires_at": None}]})

    remark: Remark = Field("", description="Whose face it is.", json_schema_extra=_without_default)
    metadata: Metadata | None = Field(
        None, description="Instead of all metadata that the face has; null: none.", json_schema_extra=_without_default
    )
    expires_at: Time | None = Field(
        None,
        description="From when on the face is gone, a time to come; null: never.",
        json_schema_extra=_without_default,
    )


class RenameBody(Body):
    """A person's new remark."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"remark": "Zoë Smith"}]})

    remark: Remark = Field(description="What the person is called from now on.")
    merge: StrictBool = Field(default=False, description="Whether that may be a person's who is there already.")


def read_json(content: bytes, model: type[Model]) -> Model:
    """The members of a JSON body. Raises InvalidRequest for one that is unknown, missing or can't be used."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise refusal(error, "member") from None
