"""The arithmetic of boxes agrees with its definition and with facenet-pytorch's own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from service.vision.box_math import (
    Floats,
    apply_regression,
    non_max_suppression,
    non_max_suppression_by_smaller,
    to_square,
)


@pytest.fixture(scope="module")
def detect_face() -> Any:
    """facenet-pytorch's module of the same functions, on torch."""
    from service.models.runtimes import import_facenet

    import_facenet()
    return import_module("facenet_pytorch.models.utils.detect_face")


def some_boxes(count: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Boxes around ten places, so that many overlap, and scores that all differ."""
    chance = np.random.default_rng(seed)
    centres = chance.uniform(0, 400, (10, 2))[chance.integers(0, 10, count)] + chance.normal(0, 8, (count, 2))
    half = chance.uniform(10, 40, (count, 1))
    boxes = np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
    return boxes, chance.permutation(np.linspace(0.6, 1, count)).astype(np.float32)


def overlap_of(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes."""
    width, height = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    shared = float(width * height)
    return shared / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - shared)


@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.7])
def test_of_boxes_that_overlap_the_best_stays(overlap: float) -> None:
    """Best first, and each that goes overlaps one that stays and has a better score."""
    boxes, scores = some_boxes(300)
    expected: list[int] = []
    for i in np.argsort(-scores):
        if all(overlap_of(boxes[i], boxes[j]) <= overlap for j in expected):
            expected.append(int(i))
    assert 10 <= len(expected) < 300
    assert non_max_suppression(boxes, scores, overlap).tolist() == expected


def test_boxes_of_different_groups_do_not_compete() -> None:
    """Each copy of the photo is cleared alone, as in facenet-pytorch."""
    boxes, scores = some_boxes(300)
    groups = np.random.default_rng(2).integers(0, 12, 300).astype(np.int8)
    alone = []
    for group in range(12):
        [members] = np.nonzero(groups == group)
        alone += members[non_max_suppression(boxes[members], scores[members], 0.5)].tolist()
    stay = non_max_suppression(boxes, scores, 0.5, groups).tolist()
    assert stay == sorted(alone, key=lambda i: -scores[i])
    assert len(stay) > len(non_max_suppression(boxes, scores, 0.5))


def test_of_equal_boxes_one_stays() -> None:
    boxes = np.array([[10, 10, 30, 30]] * 5, dtype=np.float32)
    assert non_max_suppression(boxes, np.array([0.7, 0.9, 0.8, 0.9, 0.6], dtype=np.float32), 0.7).tolist() == [1]


def test_without_boxes_nothing_is_left() -> None:
    none = np.empty((0, 4), dtype=np.float32)
    assert (
        len(non_max_suppression(none, none[:, 0], 0.7))
        == len(non_max_suppression_by_smaller(none, none[:, 0], 0.7))
        == 0
    )
    assert to_square(apply_regression(none, none)).shape == (0, 4)


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(5))
def test_nested_boxes_go_as_in_facenet_pytorch(detect_face: Any, seed: int) -> None:
    boxes, scores = some_boxes(60, seed)
    expected = detect_face.nms_numpy(boxes, scores, 0.7, "Min").tolist()
    assert 5 <= len(expected) < 60
    assert non_max_suppression_by_smaller(boxes, scores, 0.7).tolist() == expected


def test_a_box_inside_a_better_one_goes_and_around_a_better_one_too() -> None:
    """However small it is beside the other: a nose is not a second face."""
    boxes = np.array([[0, 0, 100, 100], [40, 40, 60, 60], [200, 0, 300, 100]], dtype=np.float32)
    assert non_max_suppression_by_smaller(boxes, np.array([0.9, 0.8, 0.95], dtype=np.float32), 0.7).tolist() == [2, 0]
    assert non_max_suppression_by_smaller(boxes, np.array([0.8, 0.9, 0.95], dtype=np.float32), 0.7).tolist() == [2, 1]


@pytest.mark.torch
def test_boxes_move_as_in_facenet_pytorch(detect_face: Any) -> None:
    import torch

    boxes, _ = some_boxes(50)
    regression = np.random.default_rng(1).normal(0, 0.2, (50, 4)).astype(np.float32)
    expected = detect_face.bbreg(torch.from_numpy(boxes.copy()), torch.from_numpy(regression)).numpy()
    np.testing.assert_allclose(apply_regression(boxes, regression, extra=1), expected, rtol=1e-6, atol=1e-4)


@pytest.mark.torch
def test_a_squared_box_keeps_its_centre_and_its_longer_side(detect_face: Any) -> None:
    import torch

    boxes, _ = some_boxes(50)
    boxes[:, 2] += np.linspace(-15, 15, 50, dtype=np.float32)
    squared = to_square(boxes)
    size = squared[:, 2:] - squared[:, :2]
    np.testing.assert_allclose(
        size, np.repeat((boxes[:, 2:] - boxes[:, :2]).max(axis=1)[:, None], 2, axis=1), rtol=1e-5
    )
    np.testing.assert_allclose(squared[:, :2] + squared[:, 2:], boxes[:, :2] + boxes[:, 2:], atol=1e-3)
    np.testing.assert_allclose(squared, detect_face.rerec(torch.from_numpy(boxes.copy())).numpy(), atol=1e-4)
