"""The questions that people ask of the known faces: enroll, identify, list, remove."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from PIL.Image import Image

from service.engine import Engine
from service.errors import FaceNotFound, UnknownFace
from service.faces import Detection, Face, Match, StoredFace
from service.images import to_base64, to_jpeg
from service.stages import Stages
from service.stores import Added, Store


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts, and what is kept.

    `min_score` is the detector's least certainty (0 to 1) for a usable face, `threshold` the least similarity (-1 to 1)
    of a match, `picture_side` the longer side of the pictures kept, in pixels.
    """

    min_score: float
    threshold: float
    picture_side: int


class Gallery:
    """An engine that sees and a store that remembers."""

    def __init__(self, engine: Engine, store: Store, rules: Rules, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time of a registration, aware and in UTC."""
        self._engine = engine
        self._store = store
        self._rules = rules
        self._clock = clock

    async def enroll(self, photo: bytes, remark: str, stages: Stages, device_id: str | None = None) -> int:
        """Remember the largest face of a photo under a remark; its face_id.

        The same photo with the same remark adds nothing. Raises InvalidImage, FaceNotFound, Overloaded or
        StoreUnavailable.
        """
        observation = await self._engine.faces(photo, self._largest, stages)
        face = _only(observation.faces)
        with stages.measure("picture"):
            picture = await self._engine.in_worker(_picture, observation.photo, self._rules.picture_side)
        digest = hashlib.sha256(photo).hexdigest()
        with stages.measure("store"):
            for attempt in count():
                stored = StoredFace(
                    face_id=derive_face_id(digest, remark, attempt),
                    remark=remark,
                    picture=picture,
                    box=face.detection.box,
                    landmarks=face.detection.landmarks,
                    detection_score=face.detection.score,
                    sha256=digest,
                    registered_at=self._clock(),
                    device_id=device_id,
                )
                if await self._store.add(stored, face.embedding) is not Added.TAKEN:
                    return stored.face_id
        raise AssertionError("count() never ends")

    async def identify(self, photo: bytes, limit: int, stages: Stages) -> list[Match]:
        """The `limit` known faces most like the largest face of a photo, best first, none below the threshold.

        Raises InvalidImage, FaceNotFound, Overloaded or StoreUnavailable.
        """
        observation = await self._engine.faces(photo, self._largest, stages)
        face = _only(observation.faces)
        with stages.measure("search"):
            return await self._store.search(face.embedding, limit, self._rules.threshold)

    def faces(self, offset: int = 0, limit: int | None = None) -> AsyncIterator[StoredFace]:
        """Every known face, oldest first; `offset` are skipped, `limit` given at most."""
        return self._store.scan(offset, limit)

    async def remove(self, face_id: int, stages: Stages) -> None:
        """Forget a face. Raises UnknownFace where there is none of that number."""
        with stages.measure("store"):
            if not await self._store.remove(face_id):
                raise UnknownFace(f"There is no face {face_id}; list the registered faces to see which there are.")

    def _largest(self, detections: list[Detection]) -> list[Detection]:
        """The first (the largest) that the detector is sure of."""
        return [each for each in detections if each.score >= self._rules.min_score][:1]


def derive_face_id(sha256: str, remark: str, attempt: int = 0) -> int:
    """A positive number below 2^53 that follows from the photo's digest and the remark.

    So the same registration, repeated or resumed after a crash, meets itself. Two of a million faces share a number
    with a probability of 1 in 18,000 (n²/2 over 2^53), some of a billion surely: `attempt` gives the next to try.
    """
    digest = hashlib.sha256(f"{sha256}\n{attempt}\n{remark}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % (2**53 - 1) + 1


def _only(faces: list[Face]) -> Face:
    if not faces:
        raise FaceNotFound("No usable face was found in the image; send a sharp photo with the face in full view.")
    return faces[0]


def _picture(photo: Image, longer_side: int) -> str:
    return to_base64(to_jpeg(photo, longer_side))
