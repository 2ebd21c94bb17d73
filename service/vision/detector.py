"""MTCNN: finds the faces of a photo, with their landmarks.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016, with
facenet-pytorch's weights and arithmetic. Three networks in turn: PNet proposes windows all over the scaled copies of
the photo, RNet and ONet look closer at what the one before let through, and each moves the boxes nearer to the faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from service.models.selection import ModelFiles
from service.values import Box, Detection, Rgb
from service.vision.area_scaling import MAX_SIDE, IntegralImage, integral_image, mean_colours, source_areas
from service.vision.box_math import (
    Floats,
    apply_regression,
    non_max_suppression,
    non_max_suppression_by_smaller,
    to_square,
)
from service.vision.networks import BatchNetwork, CanvasNetwork
from service.vision.pyramid import STRIDE, WINDOW, CanvasLayout, lay_out, map_canvas, render_canvas, smallest_face
from service.vision.sharing import Sharing

PNET_SCORE, RNET_SCORE, ONET_SCORE = 0.6, 0.7, 0.7
"""Least scores to reach the next stage: facenet-pytorch's defaults."""
LEVEL_OVERLAP, PNET_OVERLAP, RNET_OVERLAP, ONET_OVERLAP = 0.5, 0.7, 0.7, 0.7
"""How far two boxes may overlap: of one level, of all levels, after RNet and after ONet; facenet-pytorch's too."""
RNET_SIDE, ONET_SIDE = 24, 48
"""Pixels of the squares that the networks take."""


class FaceDetector(Protocol):
    """May be called from several threads at once."""

    min_face: int
    """Pixels of the smallest face that is looked for."""

    def warm(self) -> None:
        """Get ready for several photos at once, so that no request waits for a compilation."""

    def detect(self, photo: Rgb) -> list[Detection]:
        """Every face in the photo, the largest first, in pixels of the photo."""


class Detector:
    """On the processor: the three networks, compiled."""

    def __init__(
        self, files: ModelFiles, *, threads: int, min_face: int, min_share: float, sharing: Sharing | None = None
    ) -> None:
        """Compile the networks for `threads` processor threads, all for one photo where they aren't shared.

        Searches for faces of `min_face` pixels and `min_share` of the photo's longer side, whichever is more.
        """
        cv2.setNumThreads(1)  # for the whole process: several photos are searched at once already
        sharing = sharing or Sharing(threads)
        self._pnet = CanvasNetwork(files.pnet, sharing)
        self._rnet = BatchNetwork(files.rnet, sharing, batches=(4, 8, 16, 32))
        self._onet = BatchNetwork(files.onet, sharing, batches=(1, 2, 4, 8))
        self.min_face = min_face
        self._min_share = min_share

    def warm(self) -> None:
        """See FaceDetector.warm."""
        self._rnet.warm((RNET_SIDE, RNET_SIDE, 3))
        self._onet.warm((ONET_SIDE, ONET_SIDE, 3))
        self._pnet.warm()

    def compile_for_first(self) -> None:
        """Compile what most photos need: a canvas of theirs, and the batches of some dozens of windows."""
        self.detect(np.zeros((480, 640, 3), np.uint8))
        self._rnet(np.zeros((36, RNET_SIDE, RNET_SIDE, 3), np.float32), "scores")
        self._onet(np.zeros((9, ONET_SIDE, ONET_SIDE, 3), np.float32), "scores")

    def detect(self, photo: Rgb) -> list[Detection]:
        """See FaceDetector.detect."""
        height, width = photo.shape[:2]
        if max(height, width) > MAX_SIDE:  # every other pixel is enough for such a photo
            return [each.scaled(2) for each in self.detect(photo[::2, ::2].copy())]
        pyramid = lay_out(height, width, smallest_face(height, width, min_face=self.min_face, share=self._min_share))
        if not pyramid:
            return []
        integral = integral_image(photo)
        boxes = self._propose(pyramid, integral)
        boxes, crops = _crop_and_scale(boxes, integral, RNET_SIDE)
        if len(boxes):
            boxes = self._refine(boxes, crops)
            boxes, crops = _crop_and_scale(boxes, integral, ONET_SIDE)
        return self._output(boxes, crops) if len(boxes) else []

    def _propose(self, pyramid: Sequence[CanvasLayout], integral: IntegralImage) -> Floats:
        """The proposals of PNet, the proposal network: boxes (n, 4), squared."""
        photo_height, photo_width = integral.shape[0] - 1, integral.shape[1] - 1
        proposals = []
        for layout in pyramid:
            canvas_map = map_canvas(layout, photo_height, photo_width)
            canvas = render_canvas(canvas_map, integral)  # (1, height, width, 3)
            regression, scores = self._pnet(canvas, canvas_map.beyond, "boxes", "scores")  # (1, 4, h, w), (1, h, w)
            proposals.append(_proposals(scores[0], regression[0], layout, canvas_map.level_of))
        boxes, scores, regression = (np.concatenate(each) for each in zip(*proposals, strict=True))
        kept = non_max_suppression(boxes, scores, PNET_OVERLAP)
        return to_square(apply_regression(boxes[kept], regression[kept]))

    def _refine(self, boxes: Floats, crops: Floats) -> Floats:
        """The proposals that RNet, the refinement network, confirms: boxes (m, 4), moved and squared.

        `crops`, (n, 24, 24, 3), are what the boxes (n, 4) show.
        """
        regression, scores = self._rnet(crops, "boxes", "scores")  # (n, 4), (n,)
        confirmed = scores > RNET_SCORE
        boxes, scores, regression = boxes[confirmed], scores[confirmed], regression[confirmed]
        kept = non_max_suppression(boxes, scores, RNET_OVERLAP)
        return to_square(apply_regression(boxes[kept], regression[kept], extra=1))

    def _output(self, boxes: Floats, crops: Floats) -> list[Detection]:
        """What ONet, the output network, takes for faces, with their landmarks, the largest first.

        `crops`, (n, 48, 48, 3), are what the boxes (n, 4) show.
        """
        regression, landmarks, scores = self._onet(crops, "boxes", "landmarks", "scores")  # (n, 4), (n, 10), (n,)
        confirmed = scores > ONET_SCORE
        boxes, scores = boxes[confirmed], scores[confirmed]
        regression, landmarks = regression[confirmed], landmarks[confirmed]
        # Landmarks are shares of the box before it is moved; it counts inclusively and from 1, hence + 1 and - 1.
        size = boxes[:, 2:] - boxes[:, :2] + 1  # (k, 2): width, height
        points_x = size[:, :1] * landmarks[:, :5] + boxes[:, :1] - 1  # (k, 5): the first five numbers are x
        points_y = size[:, 1:] * landmarks[:, 5:] + boxes[:, 1:2] - 1  # (k, 5): the others y
        boxes = apply_regression(boxes, regression, extra=1)
        detections = [
            Detection(
                box=Box(*boxes[i].tolist()),
                landmarks=tuple(zip(points_x[i].tolist(), points_y[i].tolist(), strict=True)),
                score=float(scores[i]),
            )
            for i in non_max_suppression_by_smaller(boxes, scores, ONET_OVERLAP)
        ]
        return sorted(detections, key=lambda each: each.box.area, reverse=True)


def _proposals(
    scores: Floats, regression: Floats, layout: CanvasLayout, level_of: NDArray[np.int8]
) -> tuple[Floats, Floats, Floats]:
    """The likely windows of a canvas in pixels of the photo: boxes (n, 4), scores (n,), regression (n, 4).

    `scores` (h, w), `regression` (4, h, w) and `level_of` (h, w) hold a cell for each place of the window. Of windows
    in the same level that overlap by half, the likeliest is taken.
    """
    rows, columns = np.nonzero((scores >= PNET_SCORE) & (level_of >= 0))  # (m,) each
    levels = level_of[rows, columns]  # (m,): the window's level, an index of layout.levels
    corner = np.array([(level.left, level.top) for level in layout.levels])[levels]  # (m, 2), on the canvas
    scale = np.array([level.scale for level in layout.levels], np.float32)[levels, None]  # (m, 1)
    top_left = np.stack([columns, rows], axis=1) * STRIDE - corner + 1  # (m, 2), in the level, counted from 1 as there
    bottom_right = top_left + WINDOW - 1
    # Divided in float32, as torch does: 3 / 0.6 is 5 there, but 4.9999998 in float64 once 0.6 has been rounded.
    boxes = np.floor(np.concatenate([top_left, bottom_right], axis=1).astype(np.float32) / scale)  # (m, 4)
    scores, regression = scores[rows, columns], regression[:, rows, columns].T  # (m,), (m, 4)
    kept = non_max_suppression(boxes, scores, LEVEL_OVERLAP, groups=levels)
    return boxes[kept], scores[kept], regression[kept]


def _crop_and_scale(boxes: Floats, integral: IntegralImage, side: int) -> tuple[Floats, Floats]:
    """The boxes (m, 4) of these (n, 4) that touch the photo, and what they show of it, scaled: (m, side, side, 3)."""
    photo_height, photo_width = integral.shape[0] - 1, integral.shape[1] - 1
    corners = boxes.astype(np.int32)  # towards zero, and counted from 1, as facenet-pytorch's pad() does
    low = np.maximum(corners[:, :2], 1) - 1  # (n, 2): left and top, from 0
    high = np.minimum(corners[:, 2:], [photo_width, photo_height])  # (n, 2): past the right column and the bottom row
    inside = (high > low).all(axis=1)
    areas = source_areas(np.concatenate([low, high], axis=1)[inside], height=side, width=side)
    return boxes[inside], mean_colours(integral, areas)
