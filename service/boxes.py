"""Box arithmetic of the MTCNN cascade, vectorised over arrays of shape (n, 4): left, top, right, bottom in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


def suppress(boxes: Floats, scores: Floats, overlap: float, of_smaller: bool = False) -> Indices:
    """Greedy non-maximum suppression: the indices that stay, best score first.

    A box goes when its intersection with a better one exceeds `overlap` of their union, or of the smaller of the two
    where `of_smaller` is set. As in facenet-pytorch, the latter counts pixels inclusively (a box from 3 to 5 is 3 wide).
    """
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes[order].T
    extra = np.float32(1 if of_smaller else 0)
    area = (right - left + extra) * (bottom - top + extra)
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left) + extra
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top) + extra
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    whole = np.minimum(area[:, None], area) if of_smaller else area[:, None] + area - shared
    beats = shared > overlap * whole  # (n, n)
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~beats[i, i + 1 :]
    return order[alive]


def shift(boxes: Floats, regression: Floats, extra: float = 0.0) -> Floats:
    """Move each edge by the network's regression, in units of the box's own size (plus `extra` pixels)."""
    size = boxes[:, 2:] - boxes[:, :2] + np.float32(extra)
    return boxes + regression * np.concatenate([size, size], axis=1)


def square(boxes: Floats) -> Floats:
    """Grow the shorter side about the box's centre until the box is square."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + (size - side) * np.float32(0.5)
    return np.concatenate([corner, corner + side], axis=1)
