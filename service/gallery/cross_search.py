"""Searches a gallery's faces in the gallery itself, as strangers and as members: what error rates are measured by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.gallery.scoring import ABSENT_SIMILARITY, CANDIDATES, COHORT, COHORT_WEIGHT, SAME_PERSON
from service.settings import Score

BLOCK = 256
"""Probes that are searched at once: of 20,000 faces some 80 MB."""

PAIRED_PEOPLE = 2000
"""People whose faces are compared in pairs: two million pairs, twenty times as many as FMR 0.1 % needs."""

Similarities = NDArray[np.float32]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The faces of people: `embeddings` (faces, 512) of norm 1, and whose each is: `owners` (faces,), from 0 on."""

    embeddings: NDArray[np.float32]
    owners: Indices

    @property
    def photos(self) -> NDArray[np.int64]:
        """How many faces each person has: shape (people,)."""
        return np.bincount(self.owners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The best answer to the search for each of `probes` (faces,): its score, and whose face it is."""

    probes: Indices
    scores: NDArray[np.float64]
    owners: Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Some probes in the gallery without their own people (`strangers`), and without only themselves (`members`).

    Only people with several faces are members.
    """

    strangers: Answers
    members: Answers


def search_all(people: People, score: Score) -> Iterator[Searched]:
    """Search for every face among the others, BLOCK at a time, as Identifier does in a gallery of these faces.

    There must be two people at least.
    """
    several = people.photos[people.owners] > 1
    for begin in range(0, len(people.owners), BLOCK):
        probes = np.arange(begin, min(begin + BLOCK, len(people.owners)))
        similarities = people.embeddings[probes] @ people.embeddings.T
        similarities[np.arange(len(probes)), probes] = -np.inf
        members = several[probes]
        as_members = _answers(probes[members], similarities[members], people.owners, score)
        similarities[people.owners[probes, None] == people.owners] = -np.inf
        yield Searched(strangers=_answers(probes, similarities, people.owners, score), members=as_members)


def pairs_of_different_people(people: People) -> Similarities:
    """The similarities of all pairs of the first faces of PAIRED_PEOPLE people at most: shape (pairs,)."""
    _, firsts = np.unique(people.owners, return_index=True)
    embeddings = people.embeddings[firsts[:PAIRED_PEOPLE]]
    return (embeddings @ embeddings.T)[np.triu_indices(len(embeddings), 1)]


def pairs_of_one_person(people: People) -> Similarities:
    """The similarity of the first two faces of each person who has two: shape (people with several,)."""
    by_owner = np.argsort(people.owners, kind="stable")
    begins = np.cumsum(people.photos) - people.photos
    firsts = begins[people.photos > 1]
    first, second = people.embeddings[by_owner[firsts]], people.embeddings[by_owner[firsts + 1]]
    similarities: Similarities = np.einsum("ij,ij->i", first, second)
    return similarities


def _answers(probes: Indices, similarities: Similarities, owners: Indices, score: Score) -> Answers:
    """From the similarities (probes, faces), -inf for the faces that are not in the gallery."""
    kept = min(CANDIDATES, similarities.shape[1])
    nearest = np.argpartition(similarities, -kept, axis=1)[:, -kept:]
    values = np.take_along_axis(similarities, nearest, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    nearest = np.take_along_axis(nearest, order, axis=1)
    candidates = np.clip(np.take_along_axis(values, order, axis=1).astype(np.float64), None, 1.0)
    candidates[candidates < -1] = -np.inf
    best = owners[nearest[:, 0]]
    scores = candidates[:, 0] if score == "cosine" else _cohort_scores(candidates, owners[nearest])
    return Answers(probes=probes, scores=scores, owners=best)


def _cohort_scores(candidates: NDArray[np.float64], owners: Indices) -> NDArray[np.float64]:
    """The best score of `service.gallery.scoring.rank` for similarities (probes, candidates), best first.

    The most similar face always has it: any other's cohort holds somebody nearer in its place.
    """
    nearest = _nearest_people(candidates, owners)
    # As in a search: where the candidates are all that there is, nobody is beyond; else nobody is nearer than the last.
    complete = ~np.isfinite(candidates).all(axis=1) | (candidates.shape[1] < CANDIDATES)
    absent = np.where(complete, ABSENT_SIMILARITY, np.minimum(candidates[:, -1], SAME_PERSON))
    cohort = np.where(np.isnan(nearest[:, 1:]), absent[:, None], nearest[:, 1:])
    scores: NDArray[np.float64] = nearest[:, 0] - COHORT_WEIGHT * cohort.mean(axis=1)
    return scores


def _nearest_people(candidates: NDArray[np.float64], owners: Indices) -> NDArray[np.float64]:
    """The best similarity of the nearest person and of its cohort: (probes, COHORT + 1), NaN where there are fewer."""
    rows = np.arange(len(owners))
    people = np.full((len(owners), COHORT + 1), -1, np.intp)
    nearest = np.full(people.shape, np.nan)
    found = np.zeros(len(owners), np.intp)
    for column in range(owners.shape[1]):
        here = owners[:, column]
        counts = np.isfinite(candidates[:, column]) & ((column == 0) | (candidates[:, column] < SAME_PERSON))
        new = (found <= COHORT) & counts & (people != here[:, None]).all(axis=1)
        at = rows[new], found[new]
        people[at] = here[new]
        nearest[at] = candidates[new, column]
        found += new
    return nearest
