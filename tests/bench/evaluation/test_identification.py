"""Rates of open-set identification on cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scripts.bench.evaluation.identification import Searches


def searches(ranks: list[int], scores: list[float], strangers: list[float]) -> Searches:
    return Searches(
        ranks=np.array(ranks),
        scores=np.array(scores),
        member_groups=np.array(["a"] * len(ranks)),
        stranger_scores=np.array(strangers),
        stranger_groups=np.array(["a"] * len(strangers)),
    )


FOUR = searches([1, 2, 0, 1], [0.9, 0.8, 0.7, 0.4], [0.6, 0.5, 0.3, 0.2])


def test_rank_rates_ignore_the_score() -> None:
    """Two are first, one second, one not among the answers."""
    assert FOUR.rank_rate(1) == 0.5
    assert FOUR.rank_rate(5) == 0.75


def test_a_member_is_missed_below_the_threshold_and_behind_another() -> None:
    assert FOUR.fnir(0.0) == 0.5
    assert FOUR.fnir(0.5) == 0.75
    assert FOUR.found(0.9) == 0.25
    assert FOUR.fnir(0.95) == 1.0


def test_a_stranger_is_a_false_positive_at_the_threshold() -> None:
    assert FOUR.fpir(0.5) == 0.5
    assert FOUR.fpir(0.61) == 0.0


def test_the_threshold_of_an_fpir() -> None:
    threshold = FOUR.threshold_at(0.25)
    assert threshold is not None
    assert 0.5 < threshold < 0.6
    assert FOUR.fpir(threshold) == 0.25
    assert FOUR.threshold_at(0.1) is None


def test_without_strangers_there_is_no_fpir() -> None:
    nobody = searches([1], [0.9], [])
    assert math.isnan(nobody.fpir(0.5))
    assert nobody.threshold_at(0.5) is None
    fpir, fnir = nobody.curves(np.array([0.5, 0.95]))
    assert np.isnan(fpir).all()
    assert fnir.tolist() == [0, 1]


def test_without_members_there_is_no_fnir() -> None:
    nobody = searches([], [], [0.9])
    assert math.isnan(nobody.fnir(0.5))
    assert math.isnan(nobody.rank_rate(1))


def test_curves_are_the_rates_at_many_thresholds() -> None:
    thresholds = np.array([-1.0, 0.3, 0.4, 0.5, 0.9, 1.0])
    fpir, fnir = FOUR.curves(thresholds)
    assert fpir == pytest.approx([FOUR.fpir(each) for each in thresholds])
    assert fnir == pytest.approx([FOUR.fnir(each) for each in thresholds])


def test_a_photo_without_a_face_is_a_miss_and_no_false_positive() -> None:
    faceless = searches([0, 1], [-math.inf, 0.9], [-math.inf, 0.2])
    assert faceless.fnir(-1.0) == 0.5
    assert faceless.fpir(-1.0) == 0.5


def test_a_group_has_its_own_members_and_strangers() -> None:
    both = Searches(
        ranks=np.array([1, 0]),
        scores=np.array([0.9, 0.8]),
        member_groups=np.array(["a", "b"]),
        stranger_scores=np.array([0.7, 0.1]),
        stranger_groups=np.array(["b", "a"]),
    )
    assert both.of_group("a").fnir(0.5) == 0
    assert both.of_group("a").fpir(0.5) == 0
    assert both.of_group("b").fnir(0.5) == 1
    assert both.of_group("b").fpir(0.5) == 1
