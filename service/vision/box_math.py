"""Box arithmetic of the MTCNN cascade, vectorised over arrays of shape (n, 4): left, top, right, bottom in pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def non_max_suppression(
    boxes: Floats, scores: Floats, overlap: float, groups: NDArray[np.int8] | None = None
) -> Indices:
    """Greedy non-maximum suppression: the indices that stay, best score first.

    A box goes when its intersection with a better one exceeds `overlap` of their union; where `groups` (n,) are given,
    with a better one of its group.
    """
    if len(boxes) == 0:
        return np.empty(0, dtype=np.intp)
    if groups is not None:  # apart from each other they can't overlap
        boxes = boxes + (groups * (boxes.max() - boxes.min() + 1))[:, None]
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.asarray(cv2.dnn.NMSBoxes(rectangles, scores, 0.0, overlap), dtype=np.intp)  # type: ignore[arg-type]


def non_max_suppression_by_smaller(boxes: Floats, scores: Floats, overlap: float) -> Indices:
    """Likewise, but measured against the smaller of the two boxes, so that a box inside a better one goes too.

    For the few boxes at the end: work and memory grow with n². As in facenet-pytorch, pixels count inclusively here (a
    box from 3 to 5 is 3 wide), and of equally good boxes the last stays.
    """
    order = np.argsort(scores, kind="stable")[::-1]  # of equal scores, which sure faces often have, the last
    left, top, right, bottom = boxes[order].T
    area = (right - left + 1) * (bottom - top + 1)
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left) + 1
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top) + 1
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    beats = shared > overlap * np.minimum(area[:, None], area)  # (n, n): does the row's box silence the column's?
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~beats[i, i + 1 :]
    return order[alive]


def apply_regression(boxes: Floats, regression: Floats, extra: float = 0.0) -> Floats:
    """Move each edge by the network's regression, in units of the box's own size (plus `extra` pixels)."""
    size = boxes[:, 2:] - boxes[:, :2] + np.float32(extra)
    return np.asarray(boxes + regression * np.concatenate([size, size], axis=1), dtype=np.float32)


def to_square(boxes: Floats) -> Floats:
    """Grow the shorter side about the box's centre until the box is square."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + (size - side) * np.float32(0.5)
    return np.asarray(np.concatenate([corner, corner + side], axis=1), dtype=np.float32)
