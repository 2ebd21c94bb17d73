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
"""Who is so similar to the probe is in nobody's cohort: most likely the same person, registered under another remark.
A person with many remarks would else not stand out any more, and with 0.7 no fewer members are found."""

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
    people = [each for each in nearest_by_remark.items() if each[1] < SAME_PERSON][: COHORT + 1]  # the nearest first
    # Beyond the neighbours nobody is nearer than the last of them.
    absent = min(neighbours[-1].similarity, SAME_PERSON) if neighbours and not complete else ABSENT_SIMILARITY
    baselines = {remark: _baseline(people, absent, without=remark) for remark, _ in people}
    farther = _baseline(people, absent, without=None)  # of everybody who is in nobody's cohort
    scored = [
        Candidate(each, each.similarity - COHORT_WEIGHT * baselines.get(each.remark, farther)) for each in neighbours
    ]
    return sorted(scored, key=lambda each: -each.score)  # stable: of equal ones the more similar stays first


def _baseline(people: Sequence[tuple[str, float]], absent: float, *, without: str | None) -> float:
    """The cohort's mean similarity: of the nearest people but the one of a remark."""
    others = [similarity for remark, similarity in people if remark != without][:COHORT]
    others += [absent] * (COHORT - len(others))
    return sum(others) / COHORT


def has_cohort(neighbours: Sequence[Neighbour]) -> bool:
    """Whether the neighbours of a probe, best first, show MIN_COHORT people beside those who may be the best."""
    others = {each.remark for each in neighbours if each.similarity < SAME_PERSON} - {neighbours[0].remark}
    return len(others) >= MIN_COHORT
