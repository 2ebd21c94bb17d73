"""Writes candidates into the gallery's store, and waits while that is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from indexer.importing.failures import AWAY_LIMIT_S, BACKOFF, until_available
from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Written
from service.errors import AlreadyRegistered
from service.gallery.duplicates import DuplicateCheck
from service.gallery.enrollment import Candidate, Enrollment, add_under_free_ids
from service.retry import Backoff
from service.stores.store import Added, Store
from service.values import DEFAULT_GALLERY, Embedding, StoredFace

AT_ONCE = 256
"""Faces in one call of the store; a photo of a crowd alone may have more."""


class GalleryWriter:
    """Adds faces to a gallery of a store; `write` is a pipeline's Write."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        *,
        away_limit_s: float = AWAY_LIMIT_S,
        backoff: Backoff = BACKOFF,
        duplicate_check: DuplicateCheck | None = None,
        gallery: str = DEFAULT_GALLERY,
    ) -> None:
        """`clock` gives the time of a registration, aware and in UTC; for the limits see `until_available`.

        Faces that `duplicate_check` knows under another remark are not added.
        """
        self._store = store
        self._clock = clock
        self._away_limit_s = away_limit_s
        self._backoff = backoff
        self._duplicate_check = duplicate_check
        self._gallery = gallery
        self.added = 0
        """Faces that were not there before."""

    async def write(self, candidates: Sequence[tuple[Candidate, str]]) -> list[list[Written]]:
        """Durable once it returns. Raises CannotGoOn when the store stays away."""
        enrollments = [
            Enrollment(candidate=candidate, nth=nth, remark=remark, registered_at=self._clock(), gallery=self._gallery)
            for candidate, remark in candidates
            for nth in range(len(candidate.faces))
        ]
        if self._duplicate_check is None:
            written = iter([_written(*each) for each in await self._add_all(enrollments)])
        else:  # one after another: those of the same group must meet, too
            written = iter([await self._add_if_new(each, self._duplicate_check) for each in enrollments])
        return [[next(written) for _ in candidate.faces] for candidate, _ in candidates]

    async def _add_if_new(self, enrollment: Enrollment, check: DuplicateCheck) -> Written:
        look = partial(check.require_new, enrollment.embedding, enrollment.remark)
        try:
            await until_available(look, self._away_limit_s, self._backoff)
        except AlreadyRegistered:
            return Outcome.OTHER_REMARK, None
        [added] = await self._add_all([enrollment])
        return _written(*added)

    async def _add_all(self, enrollments: Sequence[Enrollment]) -> list[tuple[int, Added]]:
        return await add_under_free_ids(enrollments, self._add, face_id_bits=self._store.face_id_bits)

    async def _add(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> Sequence[Added]:
        answers: list[Added] = []
        for start in range(0, len(faces), AT_ONCE):
            chunk = faces[start : start + AT_ONCE]
            added = await until_available(partial(self._store.add_many, chunk), self._away_limit_s, self._backoff)
            answers += added
            self.added += added.count(Added.NEW)
        return answers


def _written(face_id: int, added: Added) -> Written:
    return (Outcome.REGISTERED if added is Added.NEW else Outcome.KNOWN), face_id
