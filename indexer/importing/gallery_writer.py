"""Writes candidates into the gallery's store, and waits while that is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from indexer.importing.failures import AWAY_LIMIT_S, BACKOFF, until_available
from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Written
from service.gallery.enrollment import Candidate, Enrollment, add_under_free_ids
from service.retry import Backoff
from service.stores.store import Added, Store
from service.values import Embedding, StoredFace

AT_ONCE = 256
"""Faces in one call of the store; a photo of a crowd alone may have more."""


class GalleryWriter:
    """Adds faces to a store; `write` is a pipeline's Write."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        *,
        away_limit_s: float = AWAY_LIMIT_S,
        backoff: Backoff = BACKOFF,
    ) -> None:
        """`clock` gives the time of a registration, aware and in UTC; for the others see `until_available`."""
        self._store = store
        self._clock = clock
        self._away_limit_s = away_limit_s
        self._backoff = backoff
        self.added = 0
        """Faces that were not there before."""

    async def write(self, candidates: Sequence[tuple[Candidate, str]]) -> list[list[Written]]:
        """Durable once it returns. Raises CannotGoOn when the store stays away."""
        enrollments = [
            Enrollment(candidate=candidate, nth=nth, remark=remark, registered_at=self._clock())
            for candidate, remark in candidates
            for nth in range(len(candidate.faces))
        ]
        added = iter(await add_under_free_ids(enrollments, self._add))
        return [[_written(*next(added)) for _ in candidate.faces] for candidate, _ in candidates]

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
