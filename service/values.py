"""The values that travel between the rooms: boxes, detections, faces, matches and the model contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Embedding = NDArray[np.float32]
"""Shape (512,), L2-norm 1: the dot product of two of them is their similarity."""

Rgb = NDArray[np.uint8]
"""Shape (height, width, 3), upright, 0 to 255."""

MAX_REMARK = 1024
"""Characters of a remark."""

MAX_FACE_ID = 2**53 - 1
"""So that every JSON client keeps a face_id exact; the least is 1."""

DEFAULT_GALLERY = "default"
"""The gallery that is always there, and that devices use unless their entry names another."""

CROP_SIDE = 160
"""Pixels of the square that FaceNet looks at."""


class Box(NamedTuple):
    """A face's rectangle in pixels of the upright photo; may reach past the photo's edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def scaled(self, times: float) -> Box:
        """The same rectangle in a picture so many times as large."""
        return Box(*(edge * times for edge in self))


Landmarks = tuple[tuple[float, float], ...]
"""Five (x, y) points in pixels of the upright photo: left eye, right eye, nose, left and right corner of the mouth,
left and right as the viewer sees them."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found in a photo; `score` is the detector's certainty, 0 to 1."""

    box: Box
    landmarks: Landmarks
    score: float

    def scaled(self, times: float) -> Detection:
        """The same face in a picture so many times as large."""
        landmarks = tuple((x * times, y * times) for x, y in self.landmarks)
        return Detection(self.box.scaled(times), landmarks, self.score)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good a face in a photo is; service/vision/quality.py measures it, and has the limits.

    Of the crop, in grey values of 0 to 255: `brightness` is its mean. Of the crop as it is embedded, a dark one lifted
    to usual light: `contrast` is the standard deviation; `sharpness` the variance of the second derivative, across or
    down, whichever is less, of the crop reduced to 32 pixels, as a share of the crop's own variance; `noise` the
    standard deviation of its noise, estimated at 80 pixels.
    `clipped_dark` and `clipped_bright` the shares (0 to 1) that are all but black and white. `side` is the shorter side
    of the box in pixels of the full photo. `yaw` is how far the nose lies beside the middle of eyes and mouth, in
    distances of the eyes: 0 looks into the camera, 0.5 is half turned, positive to the viewer's right. `pitch` is how
    far down from the eyes (0) to the mouth (1) the nose lies, about 0.54 looking straight. `roll_degrees` is the slope
    of the eyes, clockwise. `detection_score` is the detector's certainty, 0 to 1. `bystanders` are the other faces in
    the photo that were not asked for and are at least a quarter as large.
    """

    sharpness: float
    noise: float
    brightness: float
    contrast: float
    clipped_dark: float
    clipped_bright: float
    side: float
    yaw: float
    pitch: float
    roll_degrees: float
    detection_score: float
    bystanders: int


@dataclass(frozen=True, slots=True)
class Face:
    """A detection with the embedding of what it shows, and how well it shows it."""

    detection: Detection
    embedding: Embedding
    quality: Quality


@dataclass(frozen=True, slots=True)
class StoredFace:
    """A face as the gallery keeps it, all but its embedding.

    `face_id` is positive and below 2^53, unique over all galleries of a store; `picture` is the base64 of a JPEG;
    `sha256` the hex digest of the photo's bytes as they came; `registered_at` is aware, in UTC, to the microsecond, and
    so is `expires_at`, from which time on the face counts as gone. `metadata` is a small JSON object of the client's.
    `change` is a number that was drawn when the face was changed last, 0 where it never was; it is no part of the face.
    """

    face_id: int
    remark: str
    picture: str
    box: Box
    landmarks: Landmarks
    detection_score: float
    sha256: str
    registered_at: datetime
    device_id: str | None = None
    gallery: str = DEFAULT_GALLERY
    metadata: Mapping[str, Any] | None = None
    expires_at: datetime | None = None
    change: int = field(default=0, compare=False)

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is up at an aware `now`."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceChanges:
    """What is to become of a face's own fields: the remark, the metadata and the end of its time, as they shall be.

    `change` is the number of a change that is brought along from another store; None: one is drawn.
    """

    remark: str
    metadata: Mapping[str, Any] | None
    expires_at: datetime | None
    change: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The faces of one remark in one gallery: how many there are, and the number of one of them."""

    remark: str
    faces: int
    face_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryEntry:
    """A gallery that was made, and when (aware, in UTC); None for the default one, which always was."""

    name: str
    created_at: datetime | None


class Neighbour(NamedTuple):
    """A stored face near to a probe, by its number and remark, and its similarity (cosine, -1 to 1) to the probe."""

    face_id: int
    remark: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """What a search found: neighbours, best first, and their faces by face_id.

    `found` counts those that were not read too; where it is less than the limit, the gallery has no more.
    """

    neighbours: list[Neighbour]
    faces: Mapping[int, StoredFace]
    found: int


@dataclass(frozen=True, slots=True)
class Match:
    """A stored face, its similarity (cosine, -1 to 1) to the probe, and the score that is compared with thresholds."""

    face: StoredFace
    similarity: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContract:
    """What two embeddings must share to be comparable; a gallery holds vectors of one contract only.

    `digest` is the SHA-256 (hex) of the weights file as it was obtained, `preprocessing` counts the versions of how a
    crop is cut and normalised, `dimension` is the embedding's length.
    """

    model: str
    digest: str
    preprocessing: int
    dimension: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """Since when something of removed faces may be on the store's disk, None for nothing; when it was erased last.

    Both in seconds since 1970.
    """

    pending_since: float | None
    erased_at: float | None
