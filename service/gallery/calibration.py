"""Error rates of a gallery's searches over thresholds, with their uncertainty, and the threshold for a wanted rate.

The terms are ISO/IEC 19795-1's: FPIR is the share of strangers who are taken for somebody, FNIR the share of members
who are not found or taken for somebody else, FMR and FNMR the shares of wrong answers to "Are these two one person?".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.gallery.cross_search import Answers, People, Searched

THRESHOLDS = np.arange(-1000, 1001) / 1000
"""Those that are tried: finer ones tell nothing, since another photo changes a score by far more."""

RULE_OF_THREE = 3
"""A rate is below three in n with 95 % confidence where none of n was seen (Hanley and Lippman-Hand, 1983)."""

_Z95 = 1.959964
"""Of a standard normal variable, 95 % lie within."""

_DECIMALS = 9
"""To which shares are rounded: sums of weights are off by less, and one in a billion is less than can be measured."""


class Rate(NamedTuple):
    """A measured share with its 95 % confidence interval, all 0 to 1."""

    share: float
    low: float
    high: float


class OperatingPoint(NamedTuple):
    """A threshold with the error rates that it has in a gallery; FNIR is None where nobody has several photos."""

    threshold: float
    fpir: Rate
    fnir: Rate | None


class Alike(NamedTuple):
    """Two people, by number, and the better of the scores with which one is taken for the other."""

    one: int
    other: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The scores of searches or comparisons, best first; every person weighs the same, and all together 1.

    A score of -inf is that of an answer which no threshold makes right.
    """

    scores: NDArray[np.float64]
    weights: NDArray[np.float64]
    people: int

    @classmethod
    def of(cls, scores: NDArray[np.float64], owners: NDArray[np.intp]) -> Trials:
        """Of scores (trials,) and whose each is."""
        _, person, trials = np.unique(owners, return_inverse=True, return_counts=True)
        weights = 1 / trials[person] / max(len(trials), 1)
        order = np.argsort(-scores)
        return cls(scores=scores[order], weights=weights[order], people=len(trials))

    def shares(self, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The shares of the scores at or above thresholds: the same shape, 0 to 1."""
        at_or_above = np.searchsorted(-self.scores, -thresholds, side="right")
        shares: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(self.weights)])[at_or_above]
        return np.round(shares, _DECIMALS)

    def share(self, threshold: float) -> float:
        """The share of the scores at or above a threshold."""
        return float(self.shares(np.array([threshold]))[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a gallery's own faces tell about thresholds in it.

    `strangers` and `members` are the searches for each person; of a member whom another's face is most like, the score
    is -inf. `alike` are the pairs of people of whom one is taken for the other, most alike first.
    """

    strangers: Trials
    members: Trials
    alike: tuple[Alike, ...]

    @classmethod
    def of(cls, people: People, searched: Iterable[Searched]) -> Calibration:
        """From the searches for all faces."""
        blocks = list(searched)
        strangers, members = _joined(each.strangers for each in blocks), _joined(each.members for each in blocks)
        taken_for_another = members.owners != people.owners[members.probes]
        right_scores = np.where(taken_for_another, -np.inf, members.scores)
        return cls(
            strangers=Trials.of(strangers.scores, people.owners[strangers.probes]),
            members=Trials.of(right_scores, people.owners[members.probes]),
            alike=_alike(people, strangers),
        )

    @property
    def rank_1(self) -> Rate | None:
        """The share of members who are most like themselves; None where nobody has several photos."""
        right = self.members.weights[np.isfinite(self.members.scores)]
        return rate(round(float(right.sum()), _DECIMALS), self.members.people) if self.members.people else None

    def shows(self, fpir: float) -> bool:
        """Whether there are people enough for so small an FPIR."""
        return self.strangers.people >= people_for(fpir)

    def threshold(self, fpir: float) -> float:
        """The least of THRESHOLDS with no more than this FPIR; 1 where none has."""
        too_low = int(np.count_nonzero(self.strangers.shares(THRESHOLDS) > fpir))
        return float(THRESHOLDS[min(too_low, len(THRESHOLDS) - 1)])

    def at(self, threshold: float) -> OperatingPoint:
        """The error rates at a threshold."""
        found = rate(self.members.share(threshold), self.members.people) if self.members.people else None
        missed = found and Rate(1 - found.share, 1 - found.high, 1 - found.low)
        return OperatingPoint(threshold, rate(self.strangers.share(threshold), self.strangers.people), missed)


def rate(share: float, people: int) -> Rate:
    """A share of so many people with Wilson's interval (1927), which holds for rare errors too; one person at least."""
    squared = _Z95**2 / people
    middle = (share + squared / 2) / (1 + squared)
    half = _Z95 / (1 + squared) * float(np.sqrt(share * (1 - share) / people + squared / people / 4))
    return Rate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)))


def people_for(rate: float) -> int:
    """How many people it takes to show an error rate."""
    return int(np.ceil(round(RULE_OF_THREE / rate, _DECIMALS)))


def similarity_at(fmr: float, different: NDArray[np.float32]) -> float:
    """The least of THRESHOLDS that no more than this share of the pairs of different people, shape (pairs,), reach."""
    reached = 1 - np.searchsorted(np.sort(different), THRESHOLDS.astype(np.float32)) / len(different)
    too_low = int(np.count_nonzero(np.round(reached, _DECIMALS) > fmr))
    return float(THRESHOLDS[min(too_low, len(THRESHOLDS) - 1)])


def _joined(blocks: Iterable[Answers]) -> Answers:
    answers = list(blocks)
    return Answers(
        probes=np.concatenate([each.probes for each in answers]),
        scores=np.concatenate([each.scores for each in answers]),
        owners=np.concatenate([each.owners for each in answers]),
    )


def _alike(people: People, strangers: Answers) -> tuple[Alike, ...]:
    best: dict[tuple[int, int], float] = {}
    of = people.owners[strangers.probes]
    for one, other, score in zip(of.tolist(), strangers.owners.tolist(), strangers.scores.tolist(), strict=True):
        pair = min(one, other), max(one, other)
        best[pair] = max(score, best.get(pair, score))
    return tuple(sorted((Alike(*pair, score) for pair, score in best.items()), key=lambda each: -each.score))
