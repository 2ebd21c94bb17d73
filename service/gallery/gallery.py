"""The questions that people ask of the known faces: enroll, identify, list, remove."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from PIL.Image import Image

from service.errors import FaceNotFound, MultipleFaces, TooSmall, UnknownFace
from service.stores.store import Added, Store
from service.timings import Timings
from service.values import MAX_FACE_ID, Detection, Face, Match, StoredFace
from service.vision.engine import Choice, Engine, Observation
from service.vision.images import to_base64, to_jpeg


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts, and what is kept.

    `min_score` is the detector's least certainty (0 to 1) for a usable face, `threshold` the least similarity (-1 to 1)
    of a match, `picture_side` the longer side of the pictures kept, in pixels.
    """

    min_score: float
    threshold: float
    picture_side: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A photo whose faces may be enrolled: the hex digest of its bytes, its picture as kept, at least one face."""

    sha256: str
    picture: str
    faces: tuple[Face, ...]

    def stored(
        self, nth: int, remark: str, attempt: int, registered_at: datetime, device_id: str | None = None
    ) -> StoredFace:
        """The `nth` face (0 is the first) as a store keeps it; for `attempt` see derive_face_id."""
        detection = self.faces[nth].detection
        return StoredFace(
            face_id=derive_face_id(self.sha256, remark, attempt, nth),
            remark=remark,
            picture=self.picture,
            box=detection.box,
            landmarks=detection.landmarks,
            detection_score=detection.score,
            sha256=self.sha256,
            registered_at=registered_at,
            device_id=device_id,
        )


class Gallery:
    """An engine that sees and a store that remembers."""

    def __init__(self, engine: Engine, store: Store, rules: Rules, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time of a registration, aware and in UTC."""
        self._engine = engine
        self._store = store
        self._rules = rules
        self._clock = clock

    async def enroll(self, photo: bytes, remark: str, timings: Timings, device_id: str | None = None) -> int:
        """Remember the largest face of a photo under a remark; its face_id.

        The same photo with the same remark adds nothing. Raises InvalidImage, FaceNotFound, Overloaded or
        StoreUnavailable.
        """
        candidate = await observe(
            self._engine, photo, largest(self._rules.min_score), self._rules.picture_side, timings
        )
        with timings.measure("store"):
            for attempt in count():
                stored = candidate.stored(0, remark, attempt, self._clock(), device_id)
                if await self._store.add(stored, candidate.faces[0].embedding) is not Added.TAKEN:
                    return stored.face_id
        raise AssertionError("count() never ends")

    async def identify(self, photo: bytes, limit: int, timings: Timings) -> list[Match]:
        """The `limit` known faces most like the largest face of a photo, best first, none below the threshold.

        Raises InvalidImage, FaceNotFound, Overloaded or StoreUnavailable.
        """
        observation = await self._engine.observe(photo, largest(self._rules.min_score), timings)
        embedding = _found(observation, self._engine.min_face)[0].embedding
        with timings.measure("search"):
            return await self._store.search(embedding, limit, self._rules.threshold)

    def list(self, offset: int = 0, limit: int | None = None) -> AsyncIterator[StoredFace]:
        """Every known face, oldest first; `offset` are skipped, `limit` given at most."""
        return self._store.scan(offset, limit)

    async def remove(self, face_id: int, timings: Timings) -> None:
        """Forget a face. Raises UnknownFace where there is none of that number."""
        with timings.measure("store"):
            if not await self._store.remove(face_id):
                raise UnknownFace(f"There is no face {face_id}; list the registered faces to see which there are.")


def largest(min_score: float) -> Choice:
    """Chooses the largest face that the detector is sure of."""
    return lambda detections: _sure(detections, min_score)[:1]


def every(min_score: float) -> Choice:
    """Chooses all faces that the detector is sure of, the largest first."""
    return lambda detections: _sure(detections, min_score)


def single(min_score: float) -> Choice:
    """Chooses the one face that the detector is sure of; raises MultipleFaces where there are several."""

    def choose(detections: list[Detection]) -> list[Detection]:
        found = _sure(detections, min_score)
        if len(found) > 1:
            raise MultipleFaces(f"The image shows {len(found)} faces; send one with a single face.")
        return found

    return choose


async def observe(engine: Engine, photo: bytes, choose: Choice, picture_side: int, timings: Timings) -> Candidate:
    """Look at a photo for the faces to enroll; `picture_side` is the longer side of the picture kept, in pixels.

    Raises InvalidImage, FaceNotFound, Overloaded and what `choose` raises.
    """
    observation = await engine.observe(photo, choose, timings)
    faces = _found(observation, engine.min_face)
    with timings.measure("picture"):
        picture = await engine.in_worker(_picture, observation.photo, picture_side)
    return Candidate(hashlib.sha256(photo).hexdigest(), picture, tuple(faces))


def derive_face_id(sha256: str, remark: str, attempt: int = 0, nth: int = 0) -> int:
    """A positive number below 2^53 that follows from the photo's digest and the remark.

    So the same registration, repeated or resumed after a crash, meets itself. Two of a million faces share a number
    with a probability of 1 in 18,000 (n²/2 over 2^53), some of a billion surely: `attempt` gives the next to try.
    `nth` counts the faces of one photo, where more than the first are enrolled.
    """
    photo = f"{sha256}.{nth}" if nth else sha256
    digest = hashlib.sha256(f"{photo}\n{attempt}\n{remark}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % MAX_FACE_ID + 1


def _sure(detections: list[Detection], min_score: float) -> list[Detection]:
    return [each for each in detections if each.score >= min_score]


def _found(observation: Observation, min_face: int) -> list[Face]:
    if not observation.faces:
        if min(observation.photo.size) < min_face:
            raise TooSmall(f"No side of the image may be under {min_face} pixels, the smallest face looked for.")
        raise FaceNotFound("No usable face was found in the image; send a sharp photo with the face in full view.")
    return observation.faces


def _picture(photo: Image, longer_side: int) -> str:
    return to_base64(to_jpeg(photo, longer_side))
