"""1:1 comparison: accuracy by folds, the ROC, and true accepts at given false accept rates, with intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.bench.evaluation.rates import Scores, interval, share_at_or_above, threshold_at

FOLDS = 10
REPLICATES = 1000
_SEED = 20180


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Pairs of photos, (pairs,): similarities, -inf where one has no face, and whether both show the same person."""

    similarities: Scores
    same: NDArray[np.bool_]

    @property
    def faceless(self) -> NDArray[np.bool_]:
        """Pairs with a photo without a face, (pairs,)."""
        return np.isneginf(self.similarities)

    @property
    def genuine(self) -> Scores:
        """Similarities of the pairs of one person."""
        return self.similarities[self.same]

    @property
    def impostor(self) -> Scores:
        """Similarities of the pairs of two people."""
        return self.similarities[~self.same]

    def right(self, threshold: float) -> NDArray[np.bool_]:
        """Which pairs are told right, (pairs,); a pair with a photo without a face never is."""
        told: NDArray[np.bool_] = (self.similarities >= threshold) == self.same
        return told & ~self.faceless

    def accuracy(self, threshold: float) -> float:
        """Share of pairs told right."""
        return float(self.right(threshold).mean())

    def part(self, chosen: NDArray[np.bool_]) -> Comparisons:
        """Some of the pairs."""
        return Comparisons(self.similarities[chosen], self.same[chosen])

    def best_threshold(self) -> float:
        """The threshold of highest accuracy, between two similarities; the middle one where several are as good."""
        seen = ~self.faceless
        order = np.argsort(self.similarities[seen], kind="stable")
        values, same = self.similarities[seen][order], self.same[seen][order]
        if not values.size:
            return 1.0
        # With the k lowest pairs called different: right are the different ones of them, and the same of the others.
        right = np.concatenate([[0], np.cumsum(~same)]) + same.sum() - np.concatenate([[0], np.cumsum(same)])
        cuts = np.concatenate([[-1.0], (values[1:] + values[:-1]) / 2, [1.0]])
        possible = np.concatenate([[True], values[1:] > values[:-1], [True]])
        best = np.flatnonzero(possible & (right == right[possible].max()))
        return float(cuts[best[len(best) // 2]])


@dataclass(frozen=True, slots=True)
class FoldedAccuracy:
    """Of each fold, with the threshold of the others: accuracies and thresholds, both (folds,)."""

    accuracies: Scores
    thresholds: Scores

    @property
    def mean(self) -> float:
        """Over the folds."""
        return float(self.accuracies.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean: the folds' standard deviation over the root of their number, as LFW's authors report it."""
        return float(self.accuracies.std(ddof=1) / math.sqrt(len(self.accuracies)))


def folded_accuracy(comparisons: Comparisons, folds: NDArray[np.int64]) -> FoldedAccuracy:
    """`folds` says which fold each pair is in, (pairs,)."""
    numbers = np.unique(folds)
    thresholds = [comparisons.part(folds != number).best_threshold() for number in numbers]
    parts = [comparisons.part(folds == number) for number in numbers]
    accuracies = [part.accuracy(threshold) for part, threshold in zip(parts, thresholds, strict=True)]
    return FoldedAccuracy(np.array(accuracies), np.array(thresholds))


def drawn_folds(same: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A fold for each pair, by chance but the same each time, with as many pairs of one person in each."""
    folds = np.empty(len(same), np.int64)
    draw = np.random.default_rng(_SEED)
    for part in (np.flatnonzero(same), np.flatnonzero(~same)):
        folds[draw.permutation(part)] = np.arange(len(part)) % FOLDS
    return folds


def roc(comparisons: Comparisons) -> tuple[Scores, Scores, Scores]:
    """Thresholds from high to low, and at each the false accept rate and the true accept rate; each (n,)."""
    thresholds = np.unique(comparisons.similarities[~comparisons.faceless])[::-1]
    rates = [
        1 - np.searchsorted(np.sort(part), thresholds, side="left") / len(part)
        if part.size
        else np.full(len(thresholds), math.nan)
        for part in (comparisons.impostor, comparisons.genuine)
    ]
    return thresholds, rates[0], rates[1]


@dataclass(frozen=True, slots=True)
class TrueAccepts:
    """The true accept rate at a false accept rate, its 95 % interval, and the threshold that gives it."""

    far: float
    threshold: float
    rate: float
    low: float
    high: float


def true_accepts(comparisons: Comparisons, people: NDArray[np.int64], far: float) -> TrueAccepts | None:
    """With an interval by bootstrap over `people` (pairs, 2); None where there are too few pairs of two people.

    Pairs that share a person rise and fall together, so it is people who are drawn again and again: a pair counts as
    often as its people were drawn. The threshold is estimated too, so it is chosen anew in each replicate.
    """
    threshold = threshold_at(far, comparisons.impostor)
    if threshold is None:
        return None
    rates = []
    for weights in _replicates(people, comparisons.same):
        drawn = threshold_at(far, comparisons.impostor, weights[~comparisons.same])
        weighted = weights[comparisons.same]
        rates.append(math.nan if drawn is None else share_at_or_above(comparisons.genuine, drawn, weighted))
    rate = share_at_or_above(comparisons.genuine, threshold)
    return TrueAccepts(far, threshold, rate, *interval(np.array(rates)))


def accuracy_interval(comparisons: Comparisons, people: NDArray[np.int64], threshold: float) -> tuple[float, float]:
    """The 95 % interval of the accuracy at a threshold that other pairs gave, by bootstrap over people."""
    right = comparisons.right(threshold)
    shares = [
        float(weights[right].sum() / weights.sum()) if weights.any() else math.nan
        for weights in _replicates(people, comparisons.same)
    ]
    return interval(np.array(shares))


def _replicates(people: NDArray[np.int64], same: NDArray[np.bool_]) -> Iterable[Scores]:
    """Weights of the pairs, (pairs,), for each time that as many people are drawn with replacement."""
    draw = np.random.default_rng(_SEED)
    number = int(people.max()) + 1
    for _ in range(REPLICATES):
        drawn = np.bincount(draw.integers(number, size=number), minlength=number).astype(np.float64)
        yield np.where(same, drawn[people[:, 0]], drawn[people[:, 0]] * drawn[people[:, 1]])


def people_of(pairs: Sequence[tuple[Hashable, Hashable]], same: Iterable[bool]) -> NDArray[np.int64]:
    """Numbers of the people in pairs of photos, (pairs, 2): photos that pairs of one person link are one person's."""
    parent: dict[Hashable, Hashable] = {}

    def root(photo: Hashable) -> Hashable:
        while (above := parent.setdefault(photo, photo)) != photo:
            parent[photo] = photo = parent[above]
        return photo

    for (a, b), is_same in zip(pairs, same, strict=True):
        if is_same:
            parent[root(a)] = root(b)
    numbers: dict[Hashable, int] = {}
    return np.array([[numbers.setdefault(root(photo), len(numbers)) for photo in pair] for pair in pairs], np.int64)
