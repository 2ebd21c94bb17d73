"""Whose face it is: the known faces that are most like a probe, with scores, and none below a threshold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from service.gallery.scoring import CANDIDATES, Candidate, rank
from service.gallery.thresholds import ThresholdFor
from service.settings import Score
from service.stores.store import Store
from service.values import Embedding, Match


class Ranking(NamedTuple):
    """Faces with their scores, best first, and how many faces the search saw, which is what ThresholdFor asks for.

    Of a larger gallery the threshold is no other: see thresholds.FACES.
    """

    candidates: list[Candidate]
    faces: int


class Identifier:
    """Asks a store for the nearest faces, and judges them."""

    def __init__(self, store: Store, *, score: Score) -> None:
        self._store = store
        self._score = score

    async def search(
        self, embedding: Embedding, limit: int, *, threshold_for: ThresholdFor, group_by_remark: bool = False
    ) -> list[Match]:
        """The `limit` best faces for an embedding (512,), best first, none below the threshold for this gallery.

        With `group_by_remark` each remark is there once, with its best face. Raises StoreUnavailable.
        """
        if limit < 1:
            return []
        ranking = await self.rank(embedding, limit, group_by_remark=group_by_remark)
        threshold = threshold_for(ranking.faces)
        return await self._fetch([each for each in ranking.candidates if each.score >= threshold])

    async def rank(self, embedding: Embedding, limit: int, *, group_by_remark: bool = False) -> Ranking:
        """The `limit` best faces (1 or more) for an embedding (512,), whatever their scores. See Store.search."""
        wanted = max(CANDIDATES, limit)
        neighbours = await self._store.search(embedding, wanted)
        candidates = rank(neighbours, self._score, complete=len(neighbours) < wanted)
        if group_by_remark:
            candidates = _best_of_each_remark(candidates)
        return Ranking(candidates[:limit], len(neighbours))

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


def _best_of_each_remark(candidates: Iterable[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for each in candidates:
        best.setdefault(each.neighbour.remark, each)
    return list(best.values())
