"""The questions that people ask of the known faces: enroll, identify, list, remove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import UnknownFace
from service.gallery.choices import SEVERAL, one_face
from service.gallery.duplicates import DuplicateCheck
from service.gallery.enrollment import Enrollment, add_under_free_ids, observe_candidate, require_faces
from service.gallery.identification import Identifier
from service.gallery.scoring import Candidate
from service.gallery.thresholds import ThresholdFor, threshold_for
from service.settings import QualityLevel, Score, Settings
from service.stores.listing import Key, key_of
from service.stores.store import Added, Store
from service.timings import Timings
from service.values import Embedding, Match, Quality, StoredFace
from service.vision.engine import Engine
from service.vision.preparation import Choice
from service.vision.quality import checks_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts, and what is kept.

    `choose` tells which of a photo's faces is meant, `min_score` is the detector's least certainty (0 to 1) of a face,
    `quality` how good it must be, `score` what is compared with the threshold of a match, `picture_side` the longer
    side of the pictures kept, in pixels.
    """

    choose: Choice
    min_score: float
    quality: QualityLevel
    score: Score
    threshold_for: ThresholdFor
    picture_side: int

    @classmethod
    def of(cls, settings: Settings, model: str) -> Rules:
        """Those of the settings for a model; raises InvalidSettings where that has no threshold for `auto`."""
        return cls(
            choose=one_face(settings),
            min_score=settings.min_score,
            quality=settings.quality,
            score=settings.score,
            threshold_for=threshold_for(settings, model),
            picture_side=settings.picture_side,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledFace:
    """A face as it is kept now, how good it is, and the best face of another remark that it is known as, if any."""

    face: StoredFace
    quality: Quality
    duplicate_of: Candidate | None


class Gallery:
    """An engine that sees and a store that remembers."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        rules: Rules,
        clock: Callable[[], datetime],
        duplicate_check: DuplicateCheck | None = None,
        *,
        known_duplicates: DuplicateCheck | None = None,
    ) -> None:
        """`clock` gives the time of a registration, aware and in UTC.

        `duplicate_check` refuses some registrations, `known_duplicates` tells of those that were not refused.
        """
        self._engine = engine
        self._store = store
        self._rules = rules
        self._clock = clock
        self._identifier = Identifier(store, score=rules.score)
        self._duplicate_check = duplicate_check
        self._known_duplicates = known_duplicates
        self._registering = asyncio.Lock()

    async def enroll(self, photo: bytes, remark: str, timings: Timings, *, device_id: str | None = None) -> int:
        """Remember the one face that a photo is about under a remark; its face_id.

        The same photo with the same remark adds nothing. Raises InvalidImage, FaceNotFound, PoorQuality,
        AlreadyRegistered, Overloaded or StoreUnavailable.
        """
        rules = self._rules
        candidate = await observe_candidate(
            self._engine, photo, rules.choose, timings, picture_side=rules.picture_side, quality=rules.quality
        )
        enrollment = Enrollment(
            candidate=candidate, nth=0, remark=remark, registered_at=self._clock(), device_id=device_id
        )
        if self._duplicate_check is None:
            return (await self._add([enrollment], timings))[0]
        async with self._registering:  # two remarks of one face at the same moment would not see each other
            with timings.measure("search"):
                await self._duplicate_check.require_new(enrollment.embedding, remark)
            return (await self._add([enrollment], timings))[0]

    async def enroll_faces(
        self, photo: bytes, remark: str, timings: Timings, *, faces: str | None, quality: QualityLevel | None
    ) -> list[EnrolledFace]:
        """Remember faces of a photo under a remark, and tell all about them; `faces` is a word of choices.SEVERAL.

        Where `faces` or `quality` is None, the settings' holds. Of several faces those of poor quality are left out.
        Raises what `enroll` raises, and MultipleFaces for `single`; then nothing is remembered.
        """
        rules = self._rules
        candidate = await observe_candidate(
            self._engine,
            photo,
            SEVERAL[faces](rules.min_score) if faces else rules.choose,
            timings,
            picture_side=rules.picture_side,
            quality=quality or rules.quality,
        )
        now = self._clock()
        enrollments = [
            Enrollment(candidate=candidate, nth=nth, remark=remark, registered_at=now)
            for nth in range(len(candidate.faces))
        ]
        async with self._registering:
            duplicates = [await self._duplicate(each, timings) for each in enrollments]
            face_ids = await self._add(enrollments, timings)
        kept = await self._store.fetch(face_ids)
        return [
            EnrolledFace(face=kept[face_id], quality=face.quality, duplicate_of=duplicate)
            for face_id, face, duplicate in zip(face_ids, candidate.faces, duplicates, strict=True)
            if face_id in kept  # else it was removed at once
        ]

    async def identify(
        self, photo: bytes, limit: int, timings: Timings, *, group_by_remark: bool = False
    ) -> list[Match]:
        """The `limit` known faces most like the one that a photo is about, best first, none below the threshold.

        With `group_by_remark` each remark is there once, with its best face. Raises InvalidImage, FaceNotFound,
        PoorQuality, Overloaded or StoreUnavailable.
        """
        observation = await self._engine.observe(photo, self._rules.choose, timings)
        checks = checks_for(self._rules.quality, "identify")
        embedding = require_faces(observation, self._engine.min_face, checks)[0].embedding
        with timings.measure("search"):
            return await self._identifier.search(
                embedding, limit, threshold_for=self._rules.threshold_for, group_by_remark=group_by_remark
            )

    async def face(self, face_id: int) -> StoredFace:
        """The face of a number. Raises UnknownFace where there is none, or StoreUnavailable."""
        found = await self._store.fetch([face_id])
        if face_id not in found:
            raise _unknown(face_id)
        return found[face_id]

    async def page(self, limit: int, *, after: Key | None, remark: str | None) -> tuple[list[StoredFace], Key | None]:
        """The `limit` oldest faces behind a key, all or those of a remark, and behind which key it goes on, if it does.

        Raises StoreUnavailable.
        """
        faces = [face async for face in self._store.scan(limit=limit, after=after, remark=remark)]
        if not faces:
            return [], None
        last = key_of(faces[-1].face_id, faces[-1].registered_at)
        more = self._store.scan(limit=1, after=last, remark=remark)
        return faces, last if await anext(more, None) is not None else None

    async def count(self) -> int:
        """How many faces there are. Raises StoreUnavailable."""
        return await self._store.count()

    def list(self, offset: int = 0, limit: int | None = None, *, after: Key | None = None) -> AsyncIterator[StoredFace]:
        """Every known face, those behind a key only, oldest first; `offset` are skipped, `limit` given at most."""
        return self._store.scan(offset, limit, after=after)

    async def place(self, face_id: int) -> Key:
        """A face's place in the list. Raises UnknownFace where it is gone, for its place went with it."""
        found = await self._store.fetch([face_id])
        if face_id not in found:
            raise UnknownFace(
                f"There is no face {face_id} any more to list others after; name one that is still there, or list from "
                "the start."
            )
        return key_of(face_id, found[face_id].registered_at)

    async def remove(self, face_id: int, timings: Timings) -> None:
        """Forget a face. Raises UnknownFace where there is none of that number."""
        with timings.measure("store"):
            if not await self._store.remove(face_id):
                raise _unknown(face_id)

    async def _duplicate(self, enrollment: Enrollment, timings: Timings) -> Candidate | None:
        """The face of another remark that it is known as; raises AlreadyRegistered where that is refused."""
        with timings.measure("search"):
            if self._duplicate_check is not None:
                await self._duplicate_check.require_new(enrollment.embedding, enrollment.remark)
                return None
            if self._known_duplicates is not None:
                return await self._known_duplicates.find(enrollment.embedding, enrollment.remark)
            return None

    async def _add(self, enrollments: Sequence[Enrollment], timings: Timings) -> Sequence[int]:
        with timings.measure("store"):
            return [face_id for face_id, _ in await add_under_free_ids(enrollments, self._add_each)]

    async def _add_each(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> Sequence[Added]:
        # `add` rather than `add_many`: a device waits, so the store's limit is that of a request, not of a batch.
        return [await self._store.add(face, embedding) for face, embedding in faces]


def _unknown(face_id: int) -> UnknownFace:
    return UnknownFace(f"There is no face {face_id}; list the registered faces to see which there are.")
