"""Who it is, out of a real store: scores, thresholds, remarks and faces that go meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from service.gallery.identification import Identifier
from service.gallery.scoring import CANDIDATES
from service.gallery.thresholds import FACES, ThresholdFor
from service.stores.store import Store
from service.values import Embedding
from tests.support.stored_faces import embedding, face


def everybody(_: int) -> float:
    return -1.0


def at(score: float) -> ThresholdFor:
    """The same threshold for every gallery."""
    return lambda _: score


def like(number: int, similarity: float) -> Embedding:
    """A unit vector of that similarity to embedding(number)."""
    towards, other = embedding(number), embedding(10_000 + number)
    apart = other - (other @ towards) * towards
    across: Embedding = apart / np.linalg.norm(apart)
    return np.float32(similarity) * towards + np.float32(np.sqrt(1 - similarity**2)) * across


async def fill(store: Store, people: int) -> None:
    await store.add_many([(face(number), embedding(number)) for number in range(1, people + 1)])


async def test_an_empty_gallery_knows_nobody(store: Store) -> None:
    assert await Identifier(store, score="cohort").search(embedding(1), 5, threshold_for=everybody) == []


async def test_matches_have_all_that_is_known_with_similarity_and_score(store: Store) -> None:
    await fill(store, 20)
    matches = await Identifier(store, score="cohort").search(like(7, 0.8), 5, threshold_for=everybody)
    assert len(matches) == 5
    assert matches[0].face == face(7)
    assert matches[0].similarity == pytest.approx(0.8, abs=1e-5)
    cohort = np.mean([match.similarity for match in matches[1:]])
    assert matches[0].score == pytest.approx(0.8 - cohort / 2, abs=0.02)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)


async def test_none_is_below_the_threshold(store: Store) -> None:
    """One exactly at it counts."""
    await fill(store, 20)
    identifier = Identifier(store, score="cohort")
    everyone = await identifier.search(like(7, 0.8), 5, threshold_for=everybody)
    for kept in (1, 2, 5):
        least = everyone[kept - 1].score
        assert await identifier.search(like(7, 0.8), 5, threshold_for=at(least)) == everyone[:kept]
    assert await identifier.search(like(7, 0.8), 5, threshold_for=at(0.999)) == []


async def test_the_threshold_is_that_of_the_gallerys_size(store: Store) -> None:
    """As far as a search sees; beyond that the threshold is the same."""
    sizes: list[int] = []
    identifier = Identifier(store, score="cohort")

    def note(faces: int) -> float:
        sizes.append(faces)
        return -1.0

    for faces in (3, CANDIDATES - 1, CANDIDATES + 10):
        await fill(store, faces)
        await identifier.search(embedding(1), 5, threshold_for=note)
    assert sizes == [3, CANDIDATES - 1, CANDIDATES]
    assert FACES[-1] <= CANDIDATES


async def test_each_remark_once(store: Store) -> None:
    """With its best face; without the wish every face has a place of its own."""
    photos = [(1, "ann", 0.9), (2, "ann", 0.85), (3, "bob", 0.5), (4, "ann", 0.8), (5, "bob", 0.45)]
    await store.add_many([(face(number, remark=remark), like(99, alike)) for number, remark, alike in photos])
    identifier = Identifier(store, score="cohort")

    async def found(*, group_by_remark: bool, limit: int = 5) -> list[int]:
        matches = await identifier.search(
            embedding(99), limit, threshold_for=everybody, group_by_remark=group_by_remark
        )
        return [match.face.face_id for match in matches]

    assert await found(group_by_remark=False) == [1, 2, 4, 3, 5]
    assert await found(group_by_remark=True) == [1, 3]
    assert await found(group_by_remark=True, limit=1) == [1]


async def test_no_more_than_the_limit(store: Store) -> None:
    await fill(store, CANDIDATES + 20)
    identifier = Identifier(store, score="cosine")
    for limit in (0, 1, 5, CANDIDATES + 5):
        assert len(await identifier.search(embedding(1), limit, threshold_for=everybody)) == limit


async def test_a_person_under_very_many_remarks_is_found_like_one_under_a_single_one(store: Store) -> None:
    """The search looks past the own photos for other people."""
    await fill(store, 40)
    identifier = Identifier(store, score="cohort")
    [once] = await identifier.search(like(7, 0.9), 1, threshold_for=everybody)
    await store.add_many([(face(100 + number), like(7, 0.99)) for number in range(20)])
    [often] = await identifier.search(like(7, 0.9), 1, threshold_for=everybody)
    assert often.similarity - often.score == pytest.approx(once.similarity - once.score, abs=0.01)
