"""What a photo gives for the gallery to remember, and under which number each of its faces is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.errors import FaceDark, FaceNotFound, FaceUncertain, StoreUnavailable, TooSmall
from service.settings import QualityLevel
from service.stores.store import Added
from service.timings import Timings
from service.values import DEFAULT_GALLERY, Embedding, Face, StoredFace
from service.vision.engine import Engine, Observation
from service.vision.preparation import Choice
from service.vision.quality import MIN_BRIGHTNESS, Check, checks_for, require_quality

MAX_ATTEMPTS = 1000
"""Numbers that are tried for a face. With 31 bits and a thousand million faces, ten are enough for all but one in
2,000; who finds none free in a thousand has a gallery that is full."""

AddMany = Callable[[Sequence[tuple[StoredFace, Embedding]]], Awaitable[Sequence[Added]]]
"""Faces with their embeddings into a store; the answers in their order, see Store.add_many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A photo whose faces may be enrolled: the hex digest of its bytes, its picture as kept, at least one face."""

    sha256: str
    picture: str
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """The `nth` face of a candidate (0 is the first) under a remark; `registered_at` is aware, in UTC."""

    candidate: Candidate
    nth: int
    remark: str
    registered_at: datetime
    device_id: str | None = None
    gallery: str = DEFAULT_GALLERY
    metadata: Mapping[str, Any] | None = None
    expires_at: datetime | None = None

    def stored(self, *, attempt: int, face_id_bits: int) -> StoredFace:
        """The face as a store keeps it; for `attempt` and `face_id_bits` see derive_face_id."""
        detection = self.candidate.faces[self.nth].detection
        return StoredFace(
            face_id=derive_face_id(
                self.candidate.sha256,
                remark=self.remark,
                gallery=self.gallery,
                attempt=attempt,
                nth=self.nth,
                bits=face_id_bits,
            ),
            remark=self.remark,
            picture=self.candidate.picture,
            box=detection.box,
            landmarks=detection.landmarks,
            detection_score=detection.score,
            sha256=self.candidate.sha256,
            registered_at=self.registered_at,
            device_id=self.device_id,
            gallery=self.gallery,
            metadata=self.metadata,
            expires_at=self.expires_at,
        )

    @property
    def embedding(self) -> Embedding:
        """Of the face, (512,), length 1."""
        return self.candidate.faces[self.nth].embedding


async def observe_candidate(
    engine: Engine, photo: bytes, choose: Choice, timings: Timings, *, picture_side: int, quality: QualityLevel
) -> Candidate:
    """Find the faces of a photo that may be enrolled; `picture_side` is the longer side of the picture kept, in pixels.

    Of several faces those of poor quality are left out. Raises InvalidImage, Overloaded, what require_faces raises and
    what `choose` raises.
    """
    observation = await timings.while_wanted(engine.observe(photo, choose, timings, picture_side=picture_side))
    faces = require_faces(observation, engine.min_face, checks_for(quality, "enroll"))
    return Candidate(sha256=hashlib.sha256(photo).hexdigest(), picture=observation.picture, faces=tuple(faces))


def require_faces(observation: Observation, min_face: int, checks: Sequence[Check]) -> list[Face]:
    """The faces that were observed and pass the checks, at least one.

    Raises FaceNotFound, TooSmall for a photo with a side under `min_face` pixels, FaceUncertain where the detector is
    not sure enough of any, FaceDark where it is too dark to find one, and for poor faces what the checks have to say.
    """
    if observation.faces:
        return require_quality(observation.faces, checks)
    if min(observation.size) < min_face:
        raise TooSmall(f"No side of the image may be under {min_face} pixels, the smallest face looked for.")
    if observation.brightness < MIN_BRIGHTNESS:
        raise FaceDark("The image is too dark to find a face in it; turn on a light.")
    if observation.best_score:
        raise FaceUncertain(
            f"What looks most like a face is one with a certainty of only {observation.best_score:.2f}; "
            "send a photo with the whole face, upright and well lit."
        )
    raise FaceNotFound("No face was found in the image; send a photo with the face in full view.")


async def add_under_free_ids(
    enrollments: Sequence[Enrollment], add_many: AddMany, *, face_id_bits: int
) -> list[tuple[int, Added]]:
    """Add each face under its first number that no other face has: its face_id, and whether it is NEW or KNOWN.

    `add_many` is asked again, with the next numbers, for those whose number is TAKEN. What it raises passes through.
    Raises StoreUnavailable where MAX_ATTEMPTS numbers are taken; those of the faces that had been added stay.
    """
    added: dict[int, tuple[int, Added]] = {}
    pending, attempt = list(range(len(enrollments))), 0
    while pending:
        if attempt == MAX_ATTEMPTS:
            raise StoreUnavailable(
                f"The gallery has next to no free numbers of {face_id_bits} bits left for faces; delete some faces, or "
                "make a new gallery with FACE_ID_BITS=53."
            )
        faces = [
            (enrollments[index].stored(attempt=attempt, face_id_bits=face_id_bits), enrollments[index].embedding)
            for index in pending
        ]
        answers = await add_many(faces)
        for index, (face, _), answer in zip(pending, faces, answers, strict=True):
            if answer is not Added.TAKEN:
                added[index] = (face.face_id, answer)
        pending, attempt = [index for index in pending if index not in added], attempt + 1
    return [added[index] for index in range(len(enrollments))]


def derive_face_id(
    sha256: str, *, remark: str, bits: int, gallery: str = DEFAULT_GALLERY, attempt: int = 0, nth: int = 0
) -> int:
    """A positive number below 2^bits that follows from the photo's digest, the remark and the gallery.

    So the same registration, repeated or resumed after a crash, meets itself. With 31 bits some of 65,000 faces share a
    number as likely as not, with 53 some of a hundred million: `attempt` gives the next to try. `nth` counts the faces
    of one photo, where more than the first are enrolled.
    """
    photo = f"{sha256}.{nth}" if nth else sha256
    text = f"{photo}\n{attempt}\n{remark}" if gallery == DEFAULT_GALLERY else f"{photo}\n{attempt}\n{gallery}\n{remark}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    largest: int = 2**bits - 1
    return int.from_bytes(digest[:8]) % largest + 1
