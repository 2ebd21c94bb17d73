"""Whose face it is: the known faces that are most like a probe, with scores, and none below a threshold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from service.gallery.scoring import CANDIDATES, ENOUGH_PEOPLE, Candidate, has_cohort, rank
from service.gallery.thresholds import ThresholdFor
from service.settings import Score
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, Embedding, Match, Nearest, Neighbour, StoredFace


class Ranking(NamedTuple):
    """Faces with their scores, best first; how many faces the search found, which is what ThresholdFor asks for; and
    all about those faces that were looked at, by face_id.

    Of a gallery that is larger than what a search finds, the threshold is no other: see thresholds.FACES.
    """

    candidates: list[Candidate]
    found: int
    faces: Mapping[int, StoredFace]


class Identifier:
    """Asks one gallery of a store for the nearest faces, and judges them."""

    def __init__(
        self,
        store: Store,
        *,
        score: Score,
        gallery: str = DEFAULT_GALLERY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`clock` gives the aware time by which faces expire."""
        self._store = store
        self._score = score
        self._gallery = gallery
        self._clock = clock

    async def search(
        self, embedding: Embedding, limit: int, *, threshold_for: ThresholdFor, group_by_remark: bool = False
    ) -> list[Match]:
        """The `limit` best faces for an embedding (512,), best first, none below the threshold for this gallery.

        With `group_by_remark` each remark is there once, with its best face. Raises StoreUnavailable.
        """
        if limit < 1:
            return []
        ranking = await self.rank(embedding, limit, group_by_remark=group_by_remark)
        threshold = threshold_for(ranking.found)
        return [
            Match(ranking.faces[neighbour.face_id], neighbour.similarity, score)
            for neighbour, score in ranking.candidates
            if score >= threshold
        ]

    async def rank(self, embedding: Embedding, limit: int, *, group_by_remark: bool = False) -> Ranking:
        """The `limit` best faces (1 or more) for an embedding (512,), whatever their scores. See Store.search."""
        wanted = max(CANDIDATES, limit)
        nearest = await self._search(embedding, wanted, people=max(ENOUGH_PEOPLE, limit))
        unread = len(nearest.neighbours) < nearest.found
        if self._score == "cohort" and unread and not has_cohort(nearest.neighbours):
            nearest = await self._search(embedding, wanted)  # past all remarks of one person
        complete = len(nearest.neighbours) == nearest.found < wanted
        candidates = rank(nearest.neighbours, self._score, complete=complete)
        if group_by_remark:
            candidates = _best_of_each_remark(candidates)
        return Ranking(candidates[:limit], nearest.found, nearest.faces)

    async def nearest_of(self, embedding: Embedding, remark: str) -> Neighbour | None:
        """The face of a remark that is most like an embedding (512,); None where there is none.

        Raises StoreUnavailable.
        """
        nearest = await self._search(embedding, 1, remark=remark)
        if nearest.faces and not nearest.neighbours:  # its time is up; those behind it may have longer
            nearest = await self._search(embedding, CANDIDATES, remark=remark)
        return nearest.neighbours[0] if nearest.neighbours else None

    async def _search(
        self, embedding: Embedding, limit: int, people: int | None = None, *, remark: str | None = None
    ) -> Nearest:
        """See Store.search; faces whose time is up count as gone, though they may not have been removed yet."""
        nearest = await self._store.search(embedding, limit, gallery=self._gallery, people=people, remark=remark)
        now = self._clock()
        gone = {face_id for face_id, face in nearest.faces.items() if face.is_expired(now)}
        if not gone:
            return nearest
        neighbours = [each for each in nearest.neighbours if each.face_id not in gone]
        return Nearest(neighbours, nearest.faces, nearest.found - len(gone))


def _best_of_each_remark(candidates: Iterable[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for each in candidates:
        best.setdefault(each.neighbour.remark, each)
    return list(best.values())
