"""What stays of many groups of boxes is what box_math leaves of each group alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.vision.box_math import non_max_suppression, non_max_suppression_by_smaller
from service.vision.gpu import suppression
from service.vision.gpu.suppression import suppress

pytestmark = pytest.mark.torch

Floats = NDArray[np.float32]


def crowded(count: int, seed: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Whole-numbered boxes that overlap in chains, with equal scores among them, in groups of different sizes."""
    random = np.random.default_rng(seed)
    corner = random.integers(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + random.integers(5, 40, (count, 2))], axis=1).astype(np.float32)
    scores = (random.integers(600, 1000, count) / 1000).astype(np.float32)
    return boxes, scores, (random.integers(0, 9, count) ** 2 // 8).astype(np.int64)


def kept(boxes: Floats, scores: Floats, groups: NDArray[np.int64], overlap: float, *, by_smaller: bool) -> list[int]:
    import torch

    stay = suppress(
        torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(groups), overlap, by_smaller=by_smaller
    )
    return [int(each) for each in stay]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.7])
def test_as_each_group_alone(seed: int, overlap: float) -> None:
    boxes, scores, groups = crowded(400, seed)
    expected: list[int] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        expected += members[non_max_suppression(boxes[members], scores[members], overlap)].tolist()
    assert kept(boxes, scores, groups, overlap, by_smaller=False) == expected
    assert len(expected) < 400


@pytest.mark.parametrize("seed", range(5))
def test_by_the_smaller_box_as_each_group_alone(seed: int) -> None:
    """Of equally good boxes the last stays."""
    boxes, scores, groups = crowded(120, seed)
    expected: list[int] = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        expected += members[non_max_suppression_by_smaller(boxes[members], scores[members], 0.7)].tolist()
    assert kept(boxes, scores, groups, 0.7, by_smaller=True) == expected


def test_a_long_chain_is_followed_to_its_end() -> None:
    """Each box suppresses the next only where it stays itself: every other one does."""
    lefts = np.arange(40, dtype=np.float32) * 3
    boxes = np.stack([lefts, np.zeros(40, np.float32), lefts + 10, np.full(40, 10, np.float32)], axis=1)
    scores = np.linspace(1, 0.5, 40, dtype=np.float32)
    assert kept(boxes, scores, np.zeros(40, np.int64), 0.5, by_smaller=False) == list(range(0, 40, 2))


def test_nothing_stays_of_nothing() -> None:
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
    assert kept(*nothing, 0.5, by_smaller=False) == []


def test_work_is_done_in_parts_where_it_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, scores, groups = crowded(400, 7)
    whole = kept(boxes, scores, groups, 0.5, by_smaller=False)
    monkeypatch.setattr(suppression, "_PAIRS_AT_ONCE", 1000)
    assert kept(boxes, scores, groups, 0.5, by_smaller=False) == whole


def test_of_a_group_beyond_all_measure_the_best_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no photo can ask for unlimited memory."""
    boxes, scores, groups = crowded(400, 8)
    monkeypatch.setattr(suppression, "MAX_GROUP", 10)
    stayed = kept(boxes, scores, groups, 0.9, by_smaller=False)
    for group in np.unique(groups):
        best = np.sort(scores[groups == group])[::-1][:10].min()
        members = [i for i in stayed if groups[i] == group]
        assert 0 < len(members) <= 10
        assert scores[members].min() >= best
