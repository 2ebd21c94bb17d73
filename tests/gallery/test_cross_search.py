"""A gallery searched with its own faces: the answers are those that the service would give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.gallery import cross_search
from service.gallery.cross_search import People, pairs_of_different_people, pairs_of_one_person, search_all
from service.gallery.scoring import CANDIDATES, Candidate, rank
from service.settings import Score
from service.values import Neighbour


def made_up(*, people: int, photos: int, seed: int, spread: float = 0.04) -> People:
    """Faces of people who look alike, one to `photos` of each, in any order."""
    rng = np.random.default_rng(seed)
    owners = rng.permutation(np.concatenate([np.full(rng.integers(1, photos + 1), each) for each in range(people)]))
    _, owners = np.unique(owners, return_inverse=True)
    centres = rng.normal(size=(people, 512)) + 1.0
    vectors = centres[owners] + rng.normal(size=(len(owners), 512)) * spread * np.sqrt(512)
    return People(embeddings=units(vectors), owners=owners.astype(np.intp))


def units(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    normalised: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised.astype(np.float32)


def answer_without(people: People, probe: int, left_out: NDArray[np.bool_], score: Score) -> Candidate:
    """What Identifier finds in a gallery without some faces."""
    similarities = people.embeddings @ people.embeddings[probe]
    nearest = [each for each in np.argsort(-similarities).tolist() if not left_out[each]]
    neighbours = [Neighbour(each, str(people.owners[each]), float(similarities[each])) for each in nearest]
    return rank(neighbours[:CANDIDATES], score, complete=len(neighbours) < CANDIDATES)[0]


@pytest.mark.parametrize("score", ["cohort", "cosine"])
@pytest.mark.parametrize(("many", "photos"), [(2, 1), (3, 5), (8, 12), (60, 1), (70, 1), (45, 3), (6, 40)], ids=str)
def test_answers_are_those_of_a_search(many: int, photos: int, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    """In galleries of few and many people, with few and many photos of each."""
    monkeypatch.setattr(cross_search, "BLOCK", 7)
    people = made_up(people=many, photos=photos, seed=many + photos)
    blocks = list(search_all(people, score))
    strangers = [each for block in blocks for each in zip(*vars_of(block.strangers), strict=True)]
    members = [each for block in blocks for each in zip(*vars_of(block.members), strict=True)]
    assert [probe for probe, *_ in strangers] == list(range(len(people.owners)))
    assert [probe for probe, *_ in members] == np.flatnonzero(people.photos[people.owners] > 1).tolist()
    for found, of_members in ((strangers, False), (members, True)):
        for probe, best, owner in found:
            itself = np.arange(len(people.owners)) == probe
            left_out = itself if of_members else people.owners == people.owners[probe]
            wanted = answer_without(people, probe, left_out, score)
            assert best == pytest.approx(wanted.score, abs=1e-6)
            assert str(owner) == wanted.neighbour.remark


def vars_of(answers: cross_search.Answers) -> tuple[NDArray[np.generic], ...]:
    return answers.probes, answers.scores, answers.owners


def test_pairs() -> None:
    """Of different people one face each, of one person the first two."""
    x, y, z, half = np.eye(4, 512)
    vectors = units(np.array([x, y, x + y, z, y + half, x]))
    people = People(embeddings=vectors, owners=np.array([0, 1, 0, 2, 1, 0]))
    assert pairs_of_different_people(people) == pytest.approx([0.0, 0.0, 0.0])
    assert pairs_of_one_person(people) == pytest.approx([np.sqrt(0.5), np.sqrt(0.5)])


def test_pairs_of_few_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pair where nobody has two photos; and of very many people some."""
    people = made_up(people=30, photos=1, seed=1)
    assert len(pairs_of_one_person(people)) == 0
    assert len(pairs_of_different_people(people)) == 30 * 29 / 2
    monkeypatch.setattr(cross_search, "PAIRED_PEOPLE", 10)
    assert len(pairs_of_different_people(people)) == 10 * 9 / 2
