"""What gives scores to a gallery's members: the service's own scores, and two that it doesn't have, to compare."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from service.gallery.identification import Identifier
from service.gallery.scoring import CANDIDATES, rank
from service.settings import Score
from service.stores.store import Store
from service.values import Embedding, Neighbour

ANSWERS = 5
"""How many people a search answers at most, as devices get; so ranks up to five are known."""

OtherScore = Literal["centred", "centred+cohort"]
AnyScore = Score | OtherScore
SCORES: tuple[AnyScore, ...] = get_args(Score) + get_args(OtherScore)

PSEUDO_FACES = 20
"""A gallery's mean is drawn towards zero as if it had so many more faces, without which it is noise in a small one."""


class Answer(NamedTuple):
    """A person of the gallery and the score of their best face."""

    remark: str
    score: float


Search = Callable[[Embedding], Awaitable[Sequence[Answer]]]
"""The best people for an embedding, ANSWERS at most, whatever their scores."""


def search_with(score: AnyScore, store: Store, enrolled: Sequence[tuple[str, Embedding]]) -> Search:
    """By the store for the service's scores; for others by the embeddings `enrolled` in it, with their remarks."""
    if score in get_args(Score):
        return _through(Identifier(store, score=score))  # type: ignore[arg-type]  # which was just asked
    return _Centred(enrolled, with_cohort=score == "centred+cohort").search


def _through(identifier: Identifier) -> Search:
    async def search(embedding: Embedding) -> list[Answer]:
        matches = await identifier.search(embedding, ANSWERS, threshold_for=lambda _: -np.inf, group_by_remark=True)
        return [Answer(each.face.remark, each.score) for each in matches]

    return search


class _Centred:
    """The cosine of embeddings less the gallery's mean, normalised again: scores that `cohort` must be better than."""

    def __init__(self, enrolled: Sequence[tuple[str, Embedding]], *, with_cohort: bool) -> None:
        self._remarks = [remark for remark, _ in enrolled]
        embeddings = np.stack([embedding for _, embedding in enrolled]) if enrolled else np.empty((0, 512), np.float32)
        self._mean = embeddings.sum(axis=0) / (len(embeddings) + PSEUDO_FACES)
        self._gallery = _normalised(embeddings - self._mean)
        self._score: Score = "cohort" if with_cohort else "cosine"

    async def search(self, embedding: Embedding) -> list[Answer]:
        """See Search; the nearest CANDIDATES compete, as in a store."""
        similarities = self._gallery @ _normalised(embedding - self._mean)
        nearest = np.argsort(-similarities, kind="stable")[:CANDIDATES]
        neighbours = [Neighbour(int(index), self._remarks[index], float(similarities[index])) for index in nearest]
        ranked = rank(neighbours, self._score, complete=len(neighbours) < CANDIDATES)
        best: dict[str, float] = {}
        for candidate in ranked:
            best.setdefault(candidate.neighbour.remark, candidate.score)
        return [Answer(*each) for each in itertools.islice(best.items(), ANSWERS)]


def _normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / lengths
