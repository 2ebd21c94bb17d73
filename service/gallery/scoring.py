"""How sure it is that two faces are one person's: the score, which thresholds are compared with.

A cosine alone tells too little: in a gallery of people who look alike, strangers are as near as members are elsewhere
(docs/accuracy.md). So a face is judged by how far it stands out from the others. Its score is its similarity to the
probe less half the mean similarity of the five nearest other people: a cohort normalisation (T-norm without the
variance; Auckenthaler et al., "Score Normalization for Text-Independent Speaker Verification Systems", 2000), whose
cohort are the probe's own neighbours. It needs nothing but the search's own answer, so it is the same on every replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.settings import Score
from service.values import Neighbour

CANDIDATES = 64
"""Faces that a search asks for, so that the cohort is there where people have up to ten photos each."""

COHORT = 5
"""The nearest other people. Three to ten do as well; fewer are noisier in small galleries."""

MIN_COHORT = 2
"""With fewer others among the neighbours that were read, it is worth reading on; the rest count as the last one."""

ENOUGH_PEOPLE = COHORT + 1
"""The nearest people that a search reads: a match and its cohort."""

COHORT_WEIGHT = 0.5
"""How much of their similarity is taken off. With a half, one threshold does for 20 to 1,300 people of every group."""

SAME_PERSON = 0.7
"""Who is so similar to the probe may be the same person under another remark, and is in no such person's cohort: a
person with many remarks would else not stand out any more. With 0.7 no fewer members are found."""

ABSENT_SIMILARITY = 0.4
"""What each other person counts who is missing from a cohort because the gallery has too few; the median is near."""


class Candidate(NamedTuple):
    """A neighbour of the probe and its score, at most 1."""

    neighbour: Neighbour
    score: float


def rank(neighbours: Sequence[Neighbour], score: Score, *, complete: bool) -> list[Candidate]:
    """The neighbours (best first) with their scores, best first; `complete` tells whether the gallery has no more.

    Faces of one remark are one person: none is in the other's cohort.
    """
    if score == "cosine":
        return [Candidate(each, each.similarity) for each in neighbours]
    nearest_by_remark: dict[str, float] = {}
    for each in neighbours:
        nearest_by_remark.setdefault(each.remark, each.similarity)
    people = list(nearest_by_remark.items())  # the nearest first
    apart = [each for each in people if each[1] < SAME_PERSON]
    # Beyond the neighbours nobody is nearer than the last of them.
    absent = min(neighbours[-1].similarity, SAME_PERSON) if neighbours and not complete else ABSENT_SIMILARITY
    scored = []
    for each in neighbours:
        # Whoever may be the probe's person has a cohort of those who can't be; all others have the nearer ones in it.
        cohort = apart if each.similarity >= SAME_PERSON else people
        baseline = _baseline(cohort[: COHORT + 1], absent, without=each.remark)
        scored.append(Candidate(each, each.similarity - COHORT_WEIGHT * baseline))
    return sorted(scored, key=lambda each: -each.score)  # stable: of equal ones the more similar stays first


def _baseline(people: Sequence[tuple[str, float]], absent: float, *, without: str) -> float:
    """The cohort's mean similarity: of the nearest people but the one of a remark."""
    others = [min(similarity, SAME_PERSON) for remark, similarity in people if remark != without][:COHORT]
    others += [absent] * (COHORT - len(others))
    return sum(others) / COHORT


def has_cohort(neighbours: Sequence[Neighbour]) -> bool:
    """Whether the neighbours of a probe, best first, show MIN_COHORT people beside those who may be the best."""
    others = {each.remark for each in neighbours if each.similarity < SAME_PERSON} - {
        each.remark for each in neighbours[:1]
    }
    return len(others) >= MIN_COHORT
