"""Box arithmetic of the MTCNN cascade, vectorised over arrays of shape (n, 4): left, top, right, bottom in pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def non_max_suppression(
    boxes: Floats, scores: Floats, max_overlap: float, groups: NDArray[np.int8] | None = None
) -> Indices:
    """Greedy non-maximum suppression: the indices (k,) of the boxes (n, 4) that stay, best score (n,) first.

    A box goes when its intersection with a better one exceeds `max_overlap` of their union; where `groups` (n,) are
    given, with a better one of its group.
    """
    if len(boxes) == 0:
        return np.empty(0, dtype=np.intp)
    if groups is not None:  # each group is moved down and to the right of the one before: apart, they can't overlap
        boxes = boxes + (groups * (boxes.max() - boxes.min() + 1))[:, None]
    rectangles = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # left, top, width, height
    kept = cv2.dnn.NMSBoxes(rectangles, scores, 0.0, max_overlap)  # type: ignore[arg-type]  # arrays do as well as lists
    return np.asarray(kept, dtype=np.intp)


def non_max_suppression_by_smaller(boxes: Floats, scores: Floats, max_overlap: float) -> Indices:
    """Likewise, but measured against the smaller of the two boxes, so that a box inside a better one goes too.

    For the few boxes at the end: work and memory grow with n². As in facenet-pytorch, pixels count inclusively here (a
    box from 3 to 5 is 3 wide), and of equally good boxes the last stays.
    """
    order = np.argsort(scores, kind="stable")[::-1]  # of equal scores, which sure faces often have, the last
    left, top, right, bottom = boxes[order].T  # (n,) each, best first
    area = (right - left + 1) * (bottom - top + 1)  # (n,)
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left) + 1  # (n, n), of the intersections
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top) + 1
    intersection = np.maximum(width, 0) * np.maximum(height, 0)  # (n, n); both are negative for boxes far apart
    suppresses = intersection > max_overlap * np.minimum(area[:, None], area)  # (n, n): the row's box the column's
    kept = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if kept[i]:  # a box that went suppresses no other
            kept[i + 1 :] &= ~suppresses[i, i + 1 :]
    return order[kept]


def apply_regression(boxes: Floats, regression: Floats, extra: float = 0.0) -> Floats:
    """Move each edge of the boxes (n, 4) by the network's regression (n, 4), in units of the box's own size.

    `extra` pixels are added to that size: facenet-pytorch counts RNet's and ONet's boxes inclusively, PNet's not.
    """
    size = boxes[:, 2:] - boxes[:, :2] + np.float32(extra)  # (n, 2): width, height
    return np.asarray(boxes + regression * np.concatenate([size, size], axis=1), dtype=np.float32)


def to_square(boxes: Floats) -> Floats:
    """Grow the shorter side of each box (n, 4) about its centre until the box is square."""
    size = boxes[:, 2:] - boxes[:, :2]  # (n, 2)
    side = size.max(axis=1, keepdims=True)  # (n, 1)
    corner = boxes[:, :2] + (size - side) * np.float32(0.5)  # (n, 2); the longer side's difference is 0
    return np.asarray(np.concatenate([corner, corner + side], axis=1), dtype=np.float32)
