"""What /v1 answers about itself: how the service is doing, and who called."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from service.http.rest_api.answers import Answer, GalleryName, ModelName


class Disk(Answer):
    """The disk that has the gallery."""

    free_bytes: int
    total_bytes: int


class StageTime(Answer):
    """How long a stage of the last requests with photos took."""

    stage: str = Field(description="As in the log and the metrics; `total` is the whole request.")
    requests: int = Field(ge=1, description="So many of the last requests went through it.")
    median_ms: float = Field(description="Half of them took so long or less.")
    p95_ms: float = Field(description="19 of 20 took so long or less.")


class Warned(Answer):
    """Something that the operator should know."""

    code: str = Field(description="For programs: `no_threshold`, `unsafe_copies` or `no_keys`.")
    detail: str = Field(description="One sentence for people, which says what to do.")


class Status(Answer):
    """What runs, and how it is doing."""

    version: str = Field(description="The service's version.")
    uptime_s: int = Field(ge=0, description="Seconds since it started.")
    model: ModelName
    precision: str = Field(description="FACE_PRECISION.")
    gallery: GalleryName
    faces: int = Field(ge=0)
    threshold: float | None = Field(
        description="The least score of a match in /v1/identify, in a gallery of this size; null is none."
    )
    measured: bool = Field(description="Whether that score follows from `fpir`, and wasn't set by hand.")
    fpir: float = Field(description="FACE_FPIR, the share of strangers that may be taken for somebody.")
    photos_waiting: int = Field(ge=0, description="Photos that wait for a worker thread or are in one.")
    crops_waiting: int = Field(ge=0, description="Faces that wait for the embedder.")
    max_queue: int = Field(description="FACE_MAX_QUEUE, the most that may wait.")
    disk: Disk | None = Field(description="Null where the gallery is on a Qdrant server.")
    stages: list[StageTime]
    warnings: list[Warned]


class Refusal(Answer):
    """How many requests weren't carried out for one reason."""

    reason: str = Field(description="The slug, as in the log.")
    count: int = Field(ge=1)


class CallingDevice(Answer):
    """A device or key that called, or an address where nobody said who they are."""

    name: str | None
    client: str = Field(description="The address of the last call.")
    last_at: datetime
    requests: int = Field(ge=1)
    refusals: list[Refusal]


class CallingDevices(Answer):
    """Who called since the service started, the latest first, as far as it remembers."""

    devices: list[CallingDevice]
