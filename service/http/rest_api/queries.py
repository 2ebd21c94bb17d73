"""The queries that /v1 accepts: each model is the parameters of an operation; and the cursors of pages."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from service.errors import InvalidRequest
from service.http.query import require_utf8
from service.http.rest_api.fields import (
    NUMBER,
    FaceNumber,
    GalleryName,
    Limit,
    MetadataText,
    Model,
    Remark,
    Threshold,
    Time,
    read_fields,
    spelled,
)
from service.values import MAX_REMARK

_CURSOR, _PEOPLE_CURSOR = re.compile(r"[0-9]{1,17}-[0-9]{1,16}"), re.compile(r"[0-9]{1,17}-[0-9]{1,17}")


_PHOTO = "`photo`: with an address of the picture that needs no key, for some minutes."


class Query(BaseModel):
    """Base of all queries: a parameter that an operation doesn't have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class NoQuery(Query):
    """Of an operation without parameters."""


class GalleryQuery(Query):
    """Which gallery is asked; every operation that asks one has this."""

    gallery: GalleryName | None = Field(None, description="Name of the gallery, instead of the caller's own.")


class SearchTerms(GalleryQuery):
    """How faces are looked for."""

    limit: Limit = Field(5, ge=1, le=64, description="Matches of each face.")
    threshold: Threshold | None = Field(None, description="Least score of a match, instead of the service's.")
    fpir: Annotated[float, Field(ge=0.001, le=0.3), spelled(NUMBER)] | None = Field(
        None, description="Share of strangers that may be taken for somebody; the threshold follows from it."
    )
    group: Literal["remark", "face"] = Field("remark", description="Whether each remark is there once, or each face.")


class SearchQuery(SearchTerms):
    """How the faces of an embedding are looked for, and what is told of them."""

    include: Literal["picture", "photo"] | None = Field(
        None, description=f"`picture`: each match with its picture; {_PHOTO}"
    )


class IdentifyQuery(SearchTerms):
    """How the faces of a photo are looked for, and what is told of them and of the photo."""

    include: Literal["picture", "photo", "size", "picture,size", "photo,size"] | None = Field(
        None,
        description=f"`picture`: each match with its picture; `size`: the photo's size and how it was turned; {_PHOTO}",
    )


class VerifyQuery(GalleryQuery):
    """What a photo is compared with, if not with another photo."""

    remark: Remark | None = Field(None, description="The person of this remark, by the most similar of their faces.")
    face_id: FaceNumber | None = Field(None, description="This registered face.")
    threshold: Threshold | None = Field(None, description="Least similarity of one person's two faces.")


class KeptFields(Query):
    """What is kept beside a photo's faces, as texts: in the query, or in parts of a form."""

    remark: Remark | None = Field(
        None, description="Whose face it is; kept to the letter. Needed, unless it stands beside the photo."
    )
    metadata: MetadataText | None = Field(
        None, description="A JSON object of yours: up to 4 KiB, 64 keys and 4 levels."
    )
    expires_at: Time | None = Field(None, description="From when on the face is gone, a time to come.")


class BatchQuery(GalleryQuery):
    """Where faces are registered, and which."""

    faces: Literal["largest", "single", "all"] | None = Field(
        None, description="The largest face, the only one, or all; by default the one that the service's settings mean."
    )
    quality: Literal["off", "standard", "strict"] | None = Field(
        None, description="How good a face must be, instead of the service's setting."
    )


class RegisterQuery(KeptFields, BatchQuery):
    """Under what a photo's faces are registered, where, and which."""


class ListQuery(GalleryQuery):
    """Which page of the registered faces."""

    limit: Limit = Field(100, ge=1, le=1000, description="Faces of a page.")
    cursor: str | None = Field(None, pattern=rf"^{_CURSOR.pattern}$", description="`next_cursor` of the page before.")
    remark: Remark | None = Field(None, description="Only faces of this remark.")
    include: Literal["picture", "photo"] | None = Field(
        None, description=f"`picture`: each face with its picture; {_PHOTO}"
    )


class RemovalQuery(GalleryQuery):
    """Which faces of a gallery are to go: those of a device, or all."""

    device: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="The faces that the device of this id registered."
    )
    confirm: GalleryName | None = Field(
        None, description="All faces: the gallery's name once more, so that nobody deletes all by a slip."
    )


class FaceQuery(GalleryQuery):
    """What is told about a face."""

    include: Literal["picture", "photo"] | None = Field(None, description=f"`picture`: with its picture; {_PHOTO}")


class PeopleQuery(GalleryQuery):
    """Which page of the people."""

    limit: Limit = Field(100, ge=1, le=1000, description="People of a page.")
    cursor: str | None = Field(
        None, pattern=rf"^{_PEOPLE_CURSOR.pattern}$", description="`next_cursor` of the page before."
    )
    part: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_REMARK,
        description="Only people whose remark has this in it, in small letters or capitals.",
    )


class EventsQuery(GalleryQuery):
    """Which page of the audit trail."""

    limit: Limit = Field(100, ge=1, le=1000, description="Events of a page.")
    cursor: str | None = Field(
        None, pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before, or the `id` of an event."
    )
    remark: Remark | None = Field(None, description="Only events about this person.")
    caller: str | None = Field(
        None, pattern=r"^(key:)?[A-Za-z0-9._:-]{1,64}$", description="Only events of this device or key."
    )


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query's parameters. Raises InvalidRequest for one that is unknown, missing, repeated or can't be used."""
    require_utf8(request)
    if len(request.query) != len(set(request.query)):
        raise InvalidRequest("A parameter stands in the query more than once; send each once.")
    return read_fields(request.query, model, "parameter")


def cursor_of(key: tuple[int, int]) -> str:
    """A place in a list, for clients to hand back."""
    return f"{key[0]}-{key[1]}"


def key_of_cursor(cursor: str | None) -> tuple[int, int] | None:
    """The place that a cursor stands for; None for the beginning."""
    if cursor is None:
        return None
    first, second = cursor.split("-")
    return int(first), int(second)
