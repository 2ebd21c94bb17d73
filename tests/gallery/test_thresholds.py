"""The threshold for a model, a size of the gallery and an error rate."""

from __future__ import annotations

import numpy as np
import pytest

from service.errors import InvalidSettings
from service.gallery.thresholds import FACES, FPIRS, SCORES, VERIFICATION, measured, threshold_for
from service.settings import Settings


@pytest.mark.parametrize("model", SCORES)
def test_what_was_measured_is_what_is_answered(model: str) -> None:
    for column, fpir in enumerate(FPIRS):
        threshold = threshold_for(Settings(threshold="auto", fpir=fpir), model)
        assert [threshold(faces) for faces in FACES] == pytest.approx([row[column] for row in SCORES[model]])


@pytest.mark.parametrize("model", SCORES)
def test_between_two_measurements_lies_what_lies_between_them(model: str) -> None:
    threshold = threshold_for(Settings(threshold="auto"), model)
    assert min(threshold(20), threshold(40)) <= threshold(30) <= max(threshold(20), threshold(40))
    assert np.all(measured(model, 0.01) >= measured(model, 0.02))
    assert np.all(measured(model, 0.02) >= measured(model, 0.03))


@pytest.mark.parametrize("model", SCORES)
def test_an_empty_gallery_and_a_huge_one_have_thresholds_too(model: str) -> None:
    """Of the nearest size that was measured."""
    threshold = threshold_for(Settings(threshold="auto"), model)
    assert threshold(0) == threshold(1)
    assert threshold(10_000_000) == threshold(40)


@pytest.mark.parametrize("model", SCORES)
def test_fewer_strangers_cost_a_higher_score(model: str) -> None:
    scores = np.array(SCORES[model])
    assert scores.shape == (len(FACES), len(FPIRS))
    assert np.all(np.diff(scores, axis=1) < 0)


def test_a_threshold_that_is_set_holds_for_every_size_and_model() -> None:
    threshold = threshold_for(Settings(threshold=0.6, score="cosine"), "custom")
    assert {threshold(faces) for faces in (0, 1, 1000)} == {0.6}


def test_auto_knows_nothing_of_an_unknown_model() -> None:
    with pytest.raises(InvalidSettings, match=r"^FACE_THRESHOLD=auto knows no scores of the model custom; "):
        threshold_for(Settings(threshold="auto"), "custom")


def test_auto_is_not_for_the_bare_cosine() -> None:
    with pytest.raises(InvalidSettings, match=r"^FACE_THRESHOLD=auto needs FACE_SCORE=cohort"):
        threshold_for(Settings(threshold="auto", score="cosine"), "vggface2")


def test_every_model_that_identifies_verifies_too() -> None:
    """By a similarity that hardly any two strangers reach."""
    assert set(VERIFICATION) == set(SCORES)
    assert all(0.5 < threshold < 0.9 for threshold in VERIFICATION.values())
