"""How far two pipelines agree: which of the reference's faces ours finds, and how alike the embeddings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.bench.pipelines import Measured

LEAST_SIDE = 40
"""Pixels of the shorter side of a face that must be found, ..."""
LEAST_SHARE = 1 / 25
"""... and its least share of the photo's longer side."""
LEAST_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Faces of the reference that are large enough to matter, how many ours found, and the cosines of those."""

    photos: int
    faces: int
    found: int
    cosines: NDArray[np.float64]
    missed: list[str]
    """`name [left, top, right, bottom]` of each face that ours lacks."""

    @property
    def recall(self) -> float:
        return self.found / self.faces if self.faces else 1.0

    @property
    def cosine_median(self) -> float:
        return float(np.median(self.cosines)) if self.cosines.size else float("nan")

    @property
    def cosine_first_percentile(self) -> float:
        return float(np.percentile(self.cosines, 1)) if self.cosines.size else float("nan")


def agreement(names: Sequence[str], ours: Sequence[Measured | None], theirs: Sequence[Measured | None]) -> Agreement:
    """Compare the answers of two pipelines on the same photos; photos on which the reference fails don't count."""
    faces, cosines, missed = 0, [], []
    for name, our, their in zip(names, ours, theirs, strict=True):
        if their is None:
            continue
        wanted = np.flatnonzero(_large_enough(their))
        faces += len(wanted)
        overlaps = iou(their.boxes[wanted], our.boxes if our else np.empty((0, 4)))
        for row, face in enumerate(wanted):
            best = int(overlaps[row].argmax()) if overlaps.shape[1] else -1
            if our is None or best < 0 or overlaps[row, best] < LEAST_IOU:
                missed.append(f"{name} {their.boxes[face].round().astype(int).tolist()}")
            else:
                cosines.append(float(their.embeddings[face] @ our.embeddings[best]))
    return Agreement(len(names), faces, len(cosines), np.array(cosines), missed)


def iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (n, 4) with boxes (m, 4): shape (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared: NDArray[np.float64] = (high - low).clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    overlaps: NDArray[np.float64] = shared / (areas[0][:, None] + areas[1][None, :] - shared)
    return overlaps


def _large_enough(answer: Measured) -> NDArray[np.bool_]:
    sides: NDArray[np.float64] = (answer.boxes[:, 2:] - answer.boxes[:, :2]).min(axis=1)
    return sides >= max(LEAST_SIDE, LEAST_SHARE * max(answer.size))
