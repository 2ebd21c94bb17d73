"""Hands candidates to the gallery's store, and waits while that is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Kept
from indexer.importing.retry import PATIENCE_S, persist
from service.gallery.gallery import Candidate
from service.stores.store import Added, Store
from service.values import Embedding, StoredFace

AT_ONCE = 256
"""Faces in one call of the store; a photo of a crowd alone may have more."""


class GalleryWriter:
    """Adds faces to a store; `keep` is a pipeline's Keep."""

    def __init__(self, store: Store, clock: Callable[[], datetime], patience_s: float = PATIENCE_S) -> None:
        """`clock` gives the time of a registration, aware and in UTC."""
        self._store = store
        self._clock = clock
        self._patience_s = patience_s
        self.added = 0
        """Faces that were not there before."""

    async def keep(self, candidates: Sequence[tuple[Candidate, str]]) -> list[list[Kept]]:
        """Durable once it returns. Raises CannotGoOn when the store stays away."""
        wanted = [(each, nth) for each in range(len(candidates)) for nth in range(len(candidates[each][0].faces))]
        kept: dict[tuple[int, int], Kept] = {}
        attempt = 0
        while wanted:
            taken: list[tuple[int, int]] = []
            for start in range(0, len(wanted), AT_ONCE):
                keys = wanted[start : start + AT_ONCE]
                faces = [self._stored(*candidates[each], nth, attempt) for each, nth in keys]
                answers = await persist(partial(self._store.add_many, faces), self._patience_s)
                for key, (face, _), added in zip(keys, faces, answers, strict=True):
                    if added is Added.TAKEN:
                        taken.append(key)
                    else:
                        kept[key] = (Outcome.REGISTERED if added is Added.NEW else Outcome.KNOWN, face.face_id)
                        self.added += added is Added.NEW
            wanted = taken
            attempt += 1
        return [
            [kept[each, nth] for nth in range(len(candidate.faces))] for each, (candidate, _) in enumerate(candidates)
        ]

    def _stored(self, candidate: Candidate, remark: str, nth: int, attempt: int) -> tuple[StoredFace, Embedding]:
        return candidate.stored(nth, remark, attempt, self._clock()), candidate.faces[nth].embedding
