"""Statistics of 1:1 comparison on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.bench.evaluation import verification
from scripts.bench.evaluation.verification import (
    Comparisons,
    drawn_folds,
    folded_accuracy,
    people_of,
    roc,
    true_accepts,
)


def comparisons(genuine: list[float], impostor: list[float]) -> Comparisons:
    return Comparisons(np.array([*genuine, *impostor]), np.array([True] * len(genuine) + [False] * len(impostor)))


TINY = comparisons([0.9, 0.8, 0.4], [0.5, 0.2, 0.1])


def test_a_tiny_roc() -> None:
    """From the strictest threshold to the loosest: each pair of one person raises one rate, each other the other."""
    thresholds, far, tar = roc(TINY)
    assert thresholds.tolist() == [0.9, 0.8, 0.5, 0.4, 0.2, 0.1]
    assert far == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert tar == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1, 1, 1])


def test_a_tie_is_one_point_of_the_roc() -> None:
    thresholds, far, tar = roc(comparisons([0.5, 0.9], [0.5, 0.1]))
    assert thresholds.tolist() == [0.9, 0.5, 0.1]
    assert far.tolist() == [0, 0.5, 1]
    assert tar.tolist() == [0.5, 1, 1]


def test_the_best_threshold_lies_between_two_similarities() -> None:
    """At 0.65 and at 0.3 one pair of six is told wrong, elsewhere more; the later one is taken."""
    assert TINY.best_threshold() == pytest.approx(0.65)
    assert TINY.accuracy(0.65) == pytest.approx(5 / 6)
    assert TINY.accuracy(0.3) == pytest.approx(5 / 6)


def test_equal_similarities_are_not_parted() -> None:
    """No threshold lies between them, however good it would be."""
    tied = comparisons([0.5, 0.5], [0.5])
    assert tied.accuracy(tied.best_threshold()) == pytest.approx(2 / 3)


def test_a_photo_without_a_face_is_an_error_whoever_it_shows() -> None:
    faceless = comparisons([0.9, -np.inf], [0.1, -np.inf])
    assert faceless.best_threshold() == pytest.approx(0.5)
    assert faceless.accuracy(0.5) == 0.5
    assert faceless.right(0.5).tolist() == [True, False, True, False]
    assert roc(faceless)[2].tolist() == [0.5, 0.5]


def test_without_any_face_nobody_is_accepted() -> None:
    assert comparisons([-np.inf], [-np.inf]).best_threshold() == 1.0


def test_a_fold_is_judged_with_the_threshold_of_the_others() -> None:
    """The first fold alone would choose 0.5; the second gives it 0.7, with which it is wrong once."""
    two = Comparisons(np.array([0.6, 0.4, 0.8, 0.6]), np.array([True, False, True, False]))
    folded = folded_accuracy(two, np.array([0, 0, 1, 1]))
    assert folded.thresholds == pytest.approx([0.7, 0.5])
    assert folded.accuracies.tolist() == [0.5, 0.5]
    assert folded.mean == 0.5
    assert folded.standard_error == 0


def test_the_standard_error_is_that_of_the_mean() -> None:
    folded = verification.FoldedAccuracy(np.array([0.9, 1.0]), np.array([0.5, 0.5]))
    assert folded.mean == pytest.approx(0.95)
    assert folded.standard_error == pytest.approx(0.05)


def test_drawn_folds_are_alike() -> None:
    """Ten of them, each with as many pairs of one person, and the same each time."""
    same = np.arange(200) % 2 == 0
    folds = drawn_folds(same)
    assert np.bincount(folds[same]).tolist() == [10] * 10
    assert np.bincount(folds[~same]).tolist() == [10] * 10
    assert (folds == drawn_folds(same)).all()


def test_photos_linked_by_pairs_of_one_person_are_one_person() -> None:
    pairs = [("a", "b"), ("c", "d"), ("b", "e"), ("e", "c")]
    assert people_of(pairs, [True, True, True, False]).tolist() == [[0, 0], [1, 1], [0, 0], [0, 1]]


def test_true_accepts_at_a_false_accept_rate() -> None:
    """One of ten pairs of two people may be accepted: 0.6 is, 0.5 isn't, so 0.55 and 0.9 are found and 0.5 is not."""
    impostor = [0.6, 0.5, *np.linspace(0.1, 0.4, 8)]
    pairs = comparisons([0.55, 0.5, 0.9, -np.inf], impostor)
    people = np.arange(28).reshape(14, 2)
    people[:4, 1] = people[:4, 0]
    told = true_accepts(pairs, people, 0.1)
    assert told is not None
    assert 0.5 < told.threshold < 0.55
    assert told.rate == 0.5
    assert told.low <= 0.5 <= told.high
    assert true_accepts(pairs, people, 0.01) is None


def test_an_interval_is_wider_where_pairs_share_people() -> None:
    """A hundred pairs of ten people tell less than a hundred of a hundred people."""
    draw = np.random.default_rng(0)
    person = np.repeat(np.arange(10), 10)
    similarities = 0.5 + 0.2 * np.repeat(draw.normal(size=10), 10)
    of_ten = Comparisons(similarities, np.ones(100, bool))
    few, many = np.stack([person, person], 1), np.repeat(np.arange(100)[:, None], 2, 1)
    widths = [np.diff(verification.accuracy_interval(of_ten, people, 0.5))[0] for people in (few, many)]
    assert widths[0] > 2 * widths[1]
