"""Whose face it is: the known faces that are most like a probe, with scores, and none below a threshold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from service.gallery.scoring import CANDIDATES, Candidate, rank
from service.gallery.thresholds import ThresholdFor
from service.settings import Score
from service.stores.store import Store
from service.values import Embedding, Match

COUNT_AGE_S = 10.0
"""How old the number of faces may be that a threshold is chosen for."""


class Identifier:
    """Asks a store for the nearest faces, and judges them."""

    def __init__(self, store: Store, *, score: Score, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._store = store
        self._score = score
        self._clock = clock
        self._faces = 0
        self._counted_at = float("-inf")

    async def search(
        self, embedding: Embedding, limit: int, *, threshold_for: ThresholdFor, group_by_remark: bool = False
    ) -> list[Match]:
        """The `limit` best faces for an embedding (512,), best first, none below the threshold for this gallery.

        With `group_by_remark` each remark is there once, with its best face. Raises StoreUnavailable.
        """
        if limit < 1:
            return []
        neighbours = await self._store.search(embedding, max(CANDIDATES, limit))
        complete = len(neighbours) < max(CANDIDATES, limit)
        threshold = threshold_for(len(neighbours) if complete else await self._count())
        candidates = [each for each in rank(neighbours, self._score, complete=complete) if each.score >= threshold]
        if group_by_remark:
            candidates = _best_of_each_remark(candidates)
        return await self._fetch(candidates[:limit])

    async def _fetch(self, candidates: list[Candidate]) -> list[Match]:
        """With all that is known of them; one that was removed meanwhile is left out."""
        if not candidates:
            return []
        faces = await self._store.fetch([each.neighbour.face_id for each in candidates])
        return [
            Match(faces[neighbour.face_id], neighbour.similarity, score)
            for neighbour, score in candidates
            if neighbour.face_id in faces
        ]

    async def _count(self) -> int:
        """How many faces there are, or were lately."""
        if self._clock() - self._counted_at > COUNT_AGE_S:
            self._faces = await self._store.count()
            self._counted_at = self._clock()
        return self._faces


def _best_of_each_remark(candidates: Iterable[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for each in candidates:
        best.setdefault(each.neighbour.remark, each)
    return list(best.values())
