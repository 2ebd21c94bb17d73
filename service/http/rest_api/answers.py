"""What /v1 answers: each model is the shape of an answer, and what the API's document says about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.values import DEFAULT_GALLERY, MAX_FACE_ID

FaceId = Annotated[int, Field(ge=1, le=MAX_FACE_ID, description="The face's number.", examples=[1001])]
Cosine = Annotated[float, Field(ge=-1, le=1)]
GalleryName = Annotated[str, Field(description="The gallery that was asked.", examples=[DEFAULT_GALLERY])]
Picture = Annotated[
    str | None,
    Field(
        description="With `include=picture`: the base64 of a small JPEG of the registered photo.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/jpeg"},
    ),
]
Url = Annotated[
    str,
    Field(
        description="Opens the picture without a key.",
        json_schema_extra={"format": "uri"},
    ),
]
ModelName = Annotated[str, Field(description="The model that makes the embeddings.", examples=["vggface2"])]
Score = Annotated[float, Field(le=2, description="How sure it is that both are one person; thresholds are scores.")]


class Answer(BaseModel):
    """Base of all; an answer has exactly the members of its model."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Problem(Answer):
    """RFC 9457's problem document: every failure."""

    type: str = Field(description="Where the failure is explained.", examples=["/docs#unknown_face"])
    title: str = Field(description="The HTTP status in words.", examples=["Not Found"])
    status: int = Field(ge=400, le=599, description="The HTTP status.", examples=[404])
    detail: str = Field(description="One sentence for people, which says what to do. Its words may change.")
    code: str = Field(pattern="^[a-z_]+$", description="The reason, for programs; never changes.")
    request_id: str = Field(pattern="^[0-9a-f]{16}$", description="As in X-Request-Id and in the service's log.")


class Box(Answer):
    """A face's rectangle in pixels of the upright photo; it may reach past the photo's edges."""

    left: float
    top: float
    right: float
    bottom: float


class Photo(Answer):
    """Where a browser finds the picture of a face, and until when."""

    url: Url
    expires_at: datetime = Field(description="From when on it opens nothing: in ten minutes, about.")


LinkedPhoto = Annotated[
    Photo | None,
    Field(description="With `include=photo`: an address of the picture; null where the service makes none."),
]


class Quality(Answer):
    """How good a face is."""

    sharpness: float = Field(description="Of edges, as a share of the face's contrast; blurred faces have little.")
    noise: float = Field(description="Standard deviation of the noise in grey values of 0 to 255.")
    brightness: float = Field(description="Mean grey value, 0 to 255.")
    contrast: float = Field(description="Standard deviation of the grey values.")
    clipped_dark: float = Field(ge=0, le=1, description="Share that is all but black.")
    clipped_bright: float = Field(ge=0, le=1, description="Share that is all but white.")
    side: float = Field(description="Shorter side of the box, in pixels.")
    yaw: float = Field(description="Turn to the side: 0 looks into the camera, 0.5 is half turned.")
    pitch: float = Field(description="Turn up or down: about 0.54 looks straight.")
    roll_degrees: float = Field(description="Slope of the eyes, clockwise.")
    bystanders: int = Field(ge=0, description="Other faces that weren't asked for and are a quarter as large or more.")
    problem: str | None = Field(description="The `code` of why the face is too poor to say whose it is, if it is.")


class SeenFace(Answer):
    """A face in a photo."""

    box: Box
    landmarks: list[tuple[float, float]] = Field(
        description="Eyes, nose and corners of the mouth as [x, y], left first as the viewer sees them."
    )
    detection_score: float = Field(ge=0, le=1, description="The detector's certainty.")
    quality: Quality


class EmbeddedFace(SeenFace):
    """A face in a photo with its embedding."""

    embedding: list[float] = Field(description="512 numbers of length 1; of two, the dot product is the similarity.")


class PhotoFaces(Answer):
    """Every face of a photo, the largest first."""

    width: int = Field(description="Pixels of the upright photo.")
    height: int
    rotation: int = Field(description="Degrees that it was turned clockwise for its faces to stand upright.")
    faces: list[SeenFace]


class PhotoEmbeddings(Answer):
    """Every face of a photo with its embedding, the largest first."""

    model: ModelName
    width: int = Field(description="Pixels of the upright photo.")
    height: int
    rotation: int = Field(description="Degrees that it was turned clockwise for its faces to stand upright.")
    faces: list[EmbeddedFace]


class KnownMatch(Answer):
    """A registered face that a probe may be."""

    remark: str
    face_id: FaceId
    score: Score
    similarity: Cosine = Field(description="The cosine of the two embeddings.")
    matched: bool = Field(description="Whether the score reaches the threshold.")
    picture: Picture = None
    photo: LinkedPhoto = None


class MatchedFace(SeenFace):
    """A face in a photo and who it may be, the best first; nobody where the quality has a problem."""

    matched: bool = Field(description="Whether the best match is one.")
    matches: list[KnownMatch]


class Identification(Answer):
    """Every face of a photo, the largest first, and who it may be."""

    model: ModelName
    threshold: float = Field(description="The least score of a match.")
    gallery: GalleryName
    width: int | None = Field(default=None, description="With `include=size`: pixels of the upright photo.")
    height: int | None = None
    rotation: int | None = Field(
        default=None, description="Degrees that it was turned clockwise for its faces to stand upright."
    )
    faces: list[MatchedFace]


class EmbeddingIdentification(Answer):
    """Whose face an embedding may be, the best first."""

    model: ModelName
    threshold: float = Field(description="The least score of a match.")
    gallery: GalleryName
    matched: bool = Field(description="Whether the best match is one.")
    matches: list[KnownMatch]


class Verification(Answer):
    """Whether two faces are one person's."""

    score: Cosine = Field(description="What is compared with the threshold: between two faces, the similarity.")
    similarity: Cosine = Field(description="The cosine of the two embeddings.")
    threshold: float = Field(description="The least score of a person's two faces.")
    same: bool


class Model(Answer):
    """What embeddings are made with, and the thresholds that were measured for it."""

    model: ModelName
    digest: str = Field(description="SHA-256 of the weights.")
    preprocessing: int = Field(description="Version of how a face is cut and scaled.")
    dimension: int = Field(description="Length of an embedding.")
    verification_threshold: float | None = Field(description="Least similarity of one person's two faces (1:1).")
    version: str = Field(description="The service's version.")
