"""What /v1 answers of what it keeps: faces, people and galleries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from service.http.rest_api.answers import (
    Answer,
    Box,
    FaceId,
    GalleryName,
    LinkedPhoto,
    Picture,
    Problem,
    Quality,
    Score,
)

Remark = Annotated[str, Field(description="Whose face it is.", examples=["Zoë"])]
CreatedAt = Annotated[datetime | None, Field(description="When it was made; null for the default one.")]


class Duplicate(Answer):
    """A registered face of another remark that seems to be the same person's."""

    remark: Remark
    face_id: FaceId
    score: Score


class StoredFace(Answer):
    """What is kept of a face, all but its embedding and its picture."""

    face_id: FaceId
    remark: Remark
    gallery: GalleryName
    box: Box
    landmarks: list[tuple[float, float]]
    detection_score: float = Field(ge=0, le=1)
    registered_at: datetime
    metadata: dict[str, Any] | None = Field(description="What the client keeps beside the face.")
    expires_at: datetime | None = Field(description="From when on the face is gone; null: never.")


class KnownFace(StoredFace):
    """A registered face."""

    picture: Picture = None
    photo: LinkedPhoto = None


class RegisteredFace(StoredFace):
    """A face that was registered now, or is since the same photo and remark came before."""

    new: bool = Field(description="False where it was registered before.")
    quality: Quality
    duplicate_of: Duplicate | None


class Registration(Answer):
    """The faces that were registered, the largest first."""

    faces: list[RegisteredFace]


class RegisteredPhoto(Answer):
    """What became of a photo: its faces are registered."""

    status: Literal[201]
    faces: list[RegisteredFace]


class RefusedPhoto(Answer):
    """What became of a photo: it could not be registered."""

    status: int = Field(ge=400, le=599, description="As in the problem.", examples=[422])
    problem: Problem


class BatchRegistration(Answer):
    """What became of each photo, in the order in which they were sent."""

    outcomes: list[RegisteredPhoto | RefusedPhoto]


class FacePage(Answer):
    """Registered faces, the oldest first."""

    faces: list[KnownFace]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class ListedPerson(Answer):
    """The faces of a remark."""

    remark: Remark
    faces: int = Field(ge=1, description="How many they are.")
    face_id: FaceId = Field(description="The number of one of them.")


class Person(ListedPerson):
    """The faces of a remark in a gallery."""

    gallery: GalleryName


class PeoplePage(Answer):
    """The people of a gallery, by their names, about."""

    gallery: GalleryName
    people: list[ListedPerson]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class Removal(Answer):
    """How much was deleted."""

    removed: int = Field(ge=1, description="Faces; about, where others are registered or deleted meanwhile.")


class FacesRemoval(Answer):
    """How much was deleted, which may be nothing: a request that was cut off is repeated until all is gone."""

    gallery: GalleryName
    removed: int = Field(ge=0, description="Faces.")


class ListedGallery(Answer):
    """A gallery."""

    gallery: GalleryName
    created_at: CreatedAt


class Gallery(ListedGallery):
    """A gallery and its size."""

    faces: int = Field(ge=0)


class GalleryList(Answer):
    """The galleries, the default one first, then by name."""

    galleries: list[ListedGallery]


class Stats(Answer):
    """How large a gallery is, and how many there are."""

    gallery: GalleryName
    faces: int = Field(ge=0)
    galleries: int = Field(ge=0, description="Those that the caller may use.")
