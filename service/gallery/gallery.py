"""The questions that people ask of the known faces: enroll, identify, list, remove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import UnknownFace
from service.gallery.choices import one_face
from service.gallery.duplicates import DuplicateCheck
from service.gallery.enrollment import Enrollment, add_under_free_ids, observe_candidate, require_faces
from service.gallery.identification import Identifier
from service.gallery.thresholds import ThresholdFor, threshold_for
from service.settings import QualityLevel, Score, Settings
from service.stores.store import Added, Store
from service.timings import Timings
from service.values import Embedding, Match, StoredFace
from service.vision.engine import Engine
from service.vision.preparation import Choice
from service.vision.quality import checks_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts, and what is kept.

    `choose` tells which of a photo's faces is meant, `quality` how good it must be, `score` what is compared with the
    threshold of a match, `picture_side` the longer side of the pictures kept, in pixels.
    """

    choose: Choice
    quality: QualityLevel
    score: Score
    threshold_for: ThresholdFor
    picture_side: int

    @classmethod
    def of(cls, settings: Settings, model: str) -> Rules:
        """Those of the settings for a model; raises InvalidSettings where that has no threshold for `auto`."""
        return cls(
            choose=one_face(settings),
            quality=settings.quality,
            score=settings.score,
            threshold_for=threshold_for(settings, model),
            picture_side=settings.picture_side,
        )


class Gallery:
    """An engine that sees and a store that remembers."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        rules: Rules,
        clock: Callable[[], datetime],
        duplicate_check: DuplicateCheck | None = None,
    ) -> None:
        """`clock` gives the time of a registration, aware and in UTC; `duplicate_check` refuses some."""
        self._engine = engine
        self._store = store
        self._rules = rules
        self._clock = clock
        self._identifier = Identifier(store, score=rules.score)
        self._duplicate_check = duplicate_check
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
            return await self._add(enrollment, timings)
        async with self._registering:  # two remarks of one face at the same moment would not see each other
            with timings.measure("search"):
                await self._duplicate_check.require_new(enrollment.embedding, remark)
            return await self._add(enrollment, timings)

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

    def list(self, offset: int = 0, limit: int | None = None) -> AsyncIterator[StoredFace]:
        """Every known face, oldest first; `offset` are skipped, `limit` given at most."""
        return self._store.scan(offset, limit)

    async def remove(self, face_id: int, timings: Timings) -> None:
        """Forget a face. Raises UnknownFace where there is none of that number."""
        with timings.measure("store"):
            if not await self._store.remove(face_id):
                raise UnknownFace(f"There is no face {face_id}; list the registered faces to see which there are.")

    async def _add(self, enrollment: Enrollment, timings: Timings) -> int:
        with timings.measure("store"):
            [(face_id, _)] = await add_under_free_ids([enrollment], self._add_each)
        return face_id

    async def _add_each(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> Sequence[Added]:
        # `add` rather than `add_many`: a device waits, so the store's limit is that of a request, not of a batch.
        return [await self._store.add(face, embedding) for face, embedding in faces]
