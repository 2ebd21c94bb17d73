"""The measurement behind FACE_THRESHOLD=auto."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.bench.thresholds import score_at


def test_groups_count_alike_however_many_photos_they_have() -> None:
    """At 0.5 all ten of one group and none of a hundred are accepted: 50 % in the mean, not 9 %."""
    few, many = np.full(10, 0.5), np.linspace(0.0, 0.1, 100)
    assert score_at(0.5, [few, many]) == pytest.approx(0.1)
    strict = score_at(0.4, [few, many])
    assert strict is not None
    assert 0.5 < strict < 0.51


def test_too_few_strangers_give_no_score() -> None:
    assert score_at(0.001, [np.full(10, 0.5), np.full(10, 0.5)]) is None
