"""Thresholds for given rates, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scripts.bench.evaluation.rates import interval, share_at_or_above, threshold_at

TEN = np.arange(10) / 10
"""0.0 to 0.9"""


def test_a_threshold_accepts_what_is_as_large() -> None:
    assert share_at_or_above(TEN, 0.7) == pytest.approx(0.3)
    assert math.isnan(share_at_or_above(np.empty(0), 0.7))


def test_weights_count_scores_several_times() -> None:
    assert share_at_or_above(np.array([0.2, 0.8]), 0.5, np.array([1.0, 3.0])) == pytest.approx(0.75)
    assert math.isnan(share_at_or_above(np.array([0.2]), 0.5, np.array([0.0])))


@pytest.mark.parametrize(("rate", "least", "below"), [(0.1, 0.8, 0.9), (0.2, 0.7, 0.8), (0.3, 0.6, 0.7)])
def test_the_least_threshold_for_a_rate(rate: float, least: float, below: float) -> None:
    """Just above the highest score that must be refused."""
    threshold = threshold_at(rate, TEN)
    assert threshold is not None
    assert least < threshold < below
    assert share_at_or_above(TEN, threshold) == pytest.approx(rate)


def test_a_tie_is_refused_as_a_whole() -> None:
    """Two of ten are equal where one may be accepted."""
    threshold = threshold_at(0.1, np.array([0.9, 0.9, *TEN[:8]]))
    assert threshold is not None
    assert threshold > 0.9


def test_too_few_scores_give_no_threshold() -> None:
    """One of ten is 10 %; nobody can tell 1 % of ten. None can tell anything."""
    assert threshold_at(0.01, TEN) is None
    assert threshold_at(0.5, np.empty(0)) is None


def test_a_weighted_threshold_is_that_of_repeated_scores() -> None:
    repeated = np.repeat(TEN, 3)
    assert threshold_at(0.1, TEN, np.full(10, 3.0)) == threshold_at(0.1, repeated)


def test_photos_without_a_face_are_never_accepted() -> None:
    """So that even a high rate gives a threshold that a cosine can have."""
    assert threshold_at(0.5, np.full(10, -np.inf)) == -1.0


def test_an_interval_leaves_out_what_cannot_tell() -> None:
    low, high = interval(np.array([math.nan, *np.linspace(0, 1, 101)]))
    assert [low, high] == pytest.approx([0.025, 0.975])
    assert all(map(math.isnan, interval(np.array([math.nan]))))
