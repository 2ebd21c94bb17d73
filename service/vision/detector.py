"""MTCNN: finds the faces of a photo, with their landmarks, and cuts the crops that FaceNet wants.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016, with
facenet-pytorch's weights and arithmetic. Three networks in turn: PNet proposes windows all over the scaled copies of
the photo, RNet and ONet look closer at what the one before let through, and each moves the boxes nearer to the faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.models.selection import ModelFiles
from service.values import CROP_SIDE, Box, Detection, Rgb
from service.vision.area_scaling import MAX_SIDE, Integral, areas, average, integral
from service.vision.box_math import (
    Floats,
    apply_regression,
    non_max_suppression,
    non_max_suppression_by_smaller,
    to_square,
)
from service.vision.networks import BatchNetwork, CanvasNetwork
from service.vision.pyramid import STRIDE, WINDOW, CanvasLayout, layouts, paint, plan, smallest_face

PNET_SCORE, RNET_SCORE, ONET_SCORE = 0.6, 0.7, 0.7
"""Least scores to reach the next stage: facenet-pytorch's defaults."""
CROP_MARGIN = 14
"""Pixels of the crop that lie outside the box, left and right together; facts: 99.30 % on LFW with it."""


class Detector:
    """The three networks, compiled; may be called from several threads at once."""

    def __init__(self, files: ModelFiles, *, threads: int, min_face: int, min_share: float) -> None:
        """Compile the networks for `threads` processor threads.

        Searches for faces of `min_face` pixels and `min_share` of the photo's longer side, whichever is more.
        """
        cv2.setNumThreads(1)  # for the whole process: photos are looked at side by side already
        self._pnet = CanvasNetwork(files.pnet, threads)
        self._rnet = BatchNetwork(files.rnet, threads, batches=(4, 8, 16, 32))
        self._onet = BatchNetwork(files.onet, threads, batches=(1, 2, 4, 8))
        self.min_face = min_face
        self._min_share = min_share

    def detect(self, photo: Rgb) -> list[Detection]:
        """Every face in the photo, the largest first, in pixels of the photo."""
        height, width = photo.shape[:2]
        if max(height, width) > MAX_SIDE:
            return [each.scaled(2) for each in self.detect(photo[::2, ::2].copy())]
        smallest = smallest_face(height, width, self.min_face, self._min_share)
        pyramid = layouts(height, width, smallest)
        if not pyramid:
            return []
        sums = integral(photo)
        boxes = self._propose(pyramid, sums)
        boxes, crops = _cut(boxes, sums, 24)
        if len(boxes):
            boxes = self._refine(boxes, crops)
            boxes, crops = _cut(boxes, sums, 48)
        return self._conclude(boxes, crops) if len(boxes) else []

    def _propose(self, pyramid: Sequence[CanvasLayout], sums: Integral) -> Floats:
        """PNet's windows, (n, 4), squared."""
        found = []
        for layout in pyramid:
            laid_out = plan(layout, sums.shape[0] - 1, sums.shape[1] - 1)
            regression, scores = self._pnet(paint(laid_out, sums), laid_out.beyond, "boxes", "scores")
            found.append(_windows(scores[0], regression[0], layout, laid_out.level_of))
        boxes, scores, regression = (np.concatenate(each) for each in zip(*found, strict=True))
        stay = non_max_suppression(boxes, scores, 0.7)
        return to_square(apply_regression(boxes[stay], regression[stay]))

    def _refine(self, boxes: Floats, crops: Floats) -> Floats:
        """What RNet confirms of the windows, (m, 4), moved and squared; `crops` (n, 24, 24, 3) are what they show."""
        regression, scores = self._rnet(crops, "boxes", "scores")
        likely = scores > RNET_SCORE
        boxes, scores, regression = boxes[likely], scores[likely], regression[likely]
        stay = non_max_suppression(boxes, scores, 0.7)
        return to_square(apply_regression(boxes[stay], regression[stay], extra=1))

    def _conclude(self, boxes: Floats, crops: Floats) -> list[Detection]:
        """What ONet takes for faces, with their landmarks, the largest first; `crops` (n, 48, 48, 3)."""
        regression, landmarks, scores = self._onet(crops, "boxes", "landmarks", "scores")
        likely = scores > ONET_SCORE
        boxes, scores, regression, landmarks = boxes[likely], scores[likely], regression[likely], landmarks[likely]
        size = boxes[:, 2:] - boxes[:, :2] + 1
        points_x = size[:, :1] * landmarks[:, :5] + boxes[:, :1] - 1  # (k, 5)
        points_y = size[:, 1:] * landmarks[:, 5:] + boxes[:, 1:2] - 1
        boxes = apply_regression(boxes, regression, extra=1)
        detections = [
            Detection(
                box=Box(*boxes[i].tolist()),
                landmarks=tuple(zip(points_x[i].tolist(), points_y[i].tolist(), strict=True)),
                score=float(scores[i]),
            )
            for i in non_max_suppression_by_smaller(boxes, scores, 0.7)
        ]
        return sorted(detections, key=lambda each: each.box.area, reverse=True)


def _windows(
    scores: Floats, regression: Floats, layout: CanvasLayout, level_of: NDArray[np.int8]
) -> tuple[Floats, Floats, Floats]:
    """The likely windows of a canvas in pixels of the photo: boxes (n, 4), scores (n,), regression (n, 4).

    `scores` (h, w) and `regression` (4, h, w) hold a cell for each place of the window. Of windows in the same level
    that overlap by half, the likeliest is taken.
    """
    y, x = np.nonzero((scores >= PNET_SCORE) & (level_of >= 0))
    levels = level_of[y, x]
    corner = np.array([(level.left, level.top) for level in layout.levels])[levels]
    scale = np.array([level.scale for level in layout.levels], np.float32)[levels]
    first = np.stack([x, y], axis=1) * STRIDE - corner + 1  # facenet-pytorch counts from 1
    # Divided in float32, as torch does: 3 / 0.6 is 5 there, but 4.9999998 in float64 once 0.6 has been rounded.
    boxes = np.floor(np.concatenate([first, first + WINDOW - 1], axis=1).astype(np.float32) / scale[:, None])
    stay = non_max_suppression(boxes, scores[y, x], 0.5, groups=levels)
    return boxes[stay], scores[y, x][stay], regression[:, y, x].T[stay]


def _cut(boxes: Floats, sums: Integral, side: int) -> tuple[Floats, NDArray[np.float32]]:
    """The boxes that touch the photo, and the photo inside each, scaled to (side, side, 3)."""
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    corners = boxes.astype(np.int32)  # towards zero, and counted from 1, as facenet-pytorch's pad() does
    low = np.maximum(corners[:, :2], 1) - 1
    high = np.minimum(corners[:, 2:], [width, height])
    inside = (high > low).all(axis=1)
    within = np.concatenate([low, high], axis=1)[inside]
    return boxes[inside], average(sums, areas(within, side, side))


def crop(photo: Image.Image, box: Box) -> Rgb:
    """The face with its margin as FaceNet wants it, uint8 (160, 160, 3): facenet-pytorch's `extract_face`.

    The margin is cut off at the photo's edges and the rest stretched to the square, as it was in training.
    """
    margin_x = CROP_MARGIN * box.width / (CROP_SIDE - CROP_MARGIN) / 2
    margin_y = CROP_MARGIN * box.height / (CROP_SIDE - CROP_MARGIN) / 2
    left, top = int(max(box.left - margin_x, 0)), int(max(box.top - margin_y, 0))
    right, bottom = int(min(box.right + margin_x, photo.width)), int(min(box.bottom + margin_y, photo.height))
    area = (left, top, max(right, left), max(bottom, top))  # black, should the networks move a box off the photo
    return np.asarray(photo.crop(area).resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR))
