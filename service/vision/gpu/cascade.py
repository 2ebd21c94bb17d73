"""MTCNN's cascade over many photos at once, each stage in one go on the device: detector.py's steps, batched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from service.values import Box, Detection, Rgb
from service.vision.detector import (
    LEVEL_OVERLAP,
    ONET_OVERLAP,
    ONET_SCORE,
    ONET_SIDE,
    PNET_OVERLAP,
    PNET_SCORE,
    RNET_OVERLAP,
    RNET_SCORE,
    RNET_SIDE,
)
from service.vision.gpu import networks
from service.vision.gpu.canvases import Canvas, fill
from service.vision.gpu.networks import Network
from service.vision.gpu.photos import Photos, edges_of_parts, mean_colours, place
from service.vision.gpu.suppression import suppress
from service.vision.pyramid import CANVASES, STRIDE, WINDOW, CanvasLayout

if TYPE_CHECKING:
    from torch import Tensor

_CANVAS_PIXELS = 2**22
"""Of the canvases that PNet sees at once, each of which takes 250 bytes."""
_LEAST_CROPS, _CROPS_AT_ONCE = 32, 2048
"""Candidates that are cut out and looked at together; 48 pixels wide, one takes 600 KB."""

Layouts = Sequence[CanvasLayout]


class Cascade:
    """The three networks on a device (`cuda`, or `cpu`); for one thread at a time."""

    def __init__(self, state_dicts: Mapping[str, Mapping[str, Tensor]], device: str) -> None:
        """`state_dicts` are those of mtcnn_weights.mtcnn_state_dicts."""
        self._pnet, self._rnet, self._onet = (Network(state_dicts[net], device) for net in ("pnet", "rnet", "onet"))
        self._device = device

    def detect(self, photos: Sequence[Rgb], pyramids: Sequence[Layouts]) -> list[list[Detection]]:
        """Every face of each photo, the largest first, in pixels of the photo; `pyramids` are from pyramid.lay_out."""
        import torch

        canvases = [
            Canvas(i, photo.shape[0], photo.shape[1], layout)
            for i, (photo, pyramid) in enumerate(zip(photos, pyramids, strict=True))
            for layout in pyramid
        ]
        if not canvases:
            return [[] for _ in photos]
        with torch.inference_mode(), networks.exact_float32():
            placed = place(photos, self._device)
            found = self._output(placed, *self._refine(placed, *self._propose(placed, canvases)))
            rows = found.cpu().numpy()  # the one transfer back
        return _detections(rows, len(photos))

    def warm(self) -> None:
        """Run the networks at all fixed sizes, on a GPU within seconds, so that no request waits for cuDNN."""
        import torch

        with torch.inference_mode(), networks.exact_float32():
            for height, width in CANVASES:
                for count in _fixed_sizes(1, _most_canvases(height, width)):
                    pixels = torch.zeros((count, 3, height, width), device=self._device)
                    networks.propose(self._pnet, pixels, pixels[:1, :1, 2:, 2:])
            for count in _fixed_sizes(_LEAST_CROPS, _CROPS_AT_ONCE):
                networks.refine(self._rnet, torch.zeros((count, 3, RNET_SIDE, RNET_SIDE), device=self._device))
                networks.output(self._onet, torch.zeros((count, 3, ONET_SIDE, ONET_SIDE), device=self._device))

    def _propose(self, photos: Photos, canvases: Sequence[Canvas]) -> tuple[Tensor, Tensor]:
        """PNet's proposals: boxes (n, 4), squared, and the numbers of their photos, (n,)."""
        import torch

        parts = [self._proposals_of(photos, each) for each in _of_one_shape(canvases)]
        of, boxes, scores, regression = (torch.cat(each) for each in zip(*parts, strict=True))
        kept = suppress(boxes, scores, of, PNET_OVERLAP)
        return to_square(apply_regression(boxes[kept], regression[kept])), of[kept]

    def _proposals_of(self, photos: Photos, canvases: Sequence[Canvas]) -> tuple[Tensor, ...]:
        """The likely windows of canvases of one shape, in pixels of their photos.

        Numbers of the photos (n,), boxes (n, 4), scores (n,), regression (n, 4). Of windows in the same level that
        overlap by half, the likeliest is taken.
        """
        import torch

        count = len(canvases)
        filled = fill([*canvases, *[canvases[-1]] * (fixed_size(count) - count)], photos)
        regression, scores = networks.propose(self._pnet, filled.pixels, filled.beyond)
        likely = (scores[:count] >= PNET_SCORE) & (filled.level_of[:count] >= 0)
        k, row, column = likely.nonzero().unbind(1)  # (m,) each
        level = filled.level_of[k, row, column]
        top_left = torch.stack([column, row], 1) * STRIDE - filled.corners[level] + 1  # in the level, counted from 1
        corners = torch.cat([top_left, top_left + WINDOW - 1], 1).float()
        boxes = (corners / filled.scales[level, None]).floor()
        scores, regression = scores[k, row, column], regression[k, :, row, column]
        kept = suppress(boxes, scores, k * len(filled.scales) + level, LEVEL_OVERLAP)
        return filled.photo_of[k[kept]], boxes[kept], scores[kept], regression[kept]

    def _refine(self, photos: Photos, boxes: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        """The proposals that RNet confirms: boxes, moved and squared, and the numbers of their photos."""
        import torch

        boxes, of, edges = _inside(photos, boxes, of)
        if not len(boxes):
            return boxes, of
        parts = [networks.refine(self._rnet, crops) for crops in _crops(photos, of, edges, RNET_SIDE)]
        regression, scores = (torch.cat(each)[: len(of)] for each in zip(*parts, strict=True))
        [confirmed] = (scores > RNET_SCORE).nonzero(as_tuple=True)
        kept = confirmed[suppress(boxes[confirmed], scores[confirmed], of[confirmed], RNET_OVERLAP)]
        return to_square(apply_regression(boxes[kept], regression[kept], extra=1)), of[kept]

    def _output(self, photos: Photos, boxes: Tensor, of: Tensor) -> Tensor:
        """What ONet takes for faces, (k, 16): the photo's number, box, score, landmarks (five x, five y)."""
        import torch

        boxes, of, edges = _inside(photos, boxes, of)
        if not len(boxes):
            return boxes.new_empty(0, 16)
        parts = [networks.output(self._onet, crops) for crops in _crops(photos, of, edges, ONET_SIDE)]
        regression, landmarks, scores = (torch.cat(each)[: len(of)] for each in zip(*parts, strict=True))
        [confirmed] = (scores > ONET_SCORE).nonzero(as_tuple=True)
        boxes, of, scores = boxes[confirmed], of[confirmed], scores[confirmed]
        regression, landmarks = regression[confirmed], landmarks[confirmed]
        # Landmarks are shares of the box before it is moved; it counts inclusively and from 1, hence + 1 and - 1.
        size = boxes[:, 2:] - boxes[:, :2] + 1
        points_x = size[:, :1] * landmarks[:, :5] + boxes[:, :1] - 1
        points_y = size[:, 1:] * landmarks[:, 5:] + boxes[:, 1:2] - 1
        boxes = apply_regression(boxes, regression, extra=1)
        kept = suppress(boxes, scores, of, ONET_OVERLAP, by_smaller=True)
        rows = torch.cat([of[:, None].float(), boxes, scores[:, None], points_x, points_y], 1)
        return rows[kept]


def _of_one_shape(canvases: Sequence[Canvas]) -> Iterator[list[Canvas]]:
    """The canvases that PNet sees together."""
    shapes: dict[tuple[int, int], list[Canvas]] = defaultdict(list)
    for each in canvases:
        shapes[each.layout.height, each.layout.width].append(each)
    for (height, width), group in shapes.items():
        count = _most_canvases(height, width)
        for start in range(0, len(group), count):
            yield group[start : start + count]


def _most_canvases(height: int, width: int) -> int:
    """How many canvases of a shape PNet sees at once: one of the fixed sizes, which takes up to _CANVAS_PIXELS."""
    return 1 << (max(1, _CANVAS_PIXELS // (height * width)).bit_length() - 1)


def fixed_size(count: int, least: int = 1) -> int:
    """The power of two that a batch of so many is filled up to.

    cuDNN works out anew how to compute each size that it hasn't seen, which takes some 2 ms a convolution; in batches
    of any size that was two thirds of the time.
    """
    return max(least, 1 << (count - 1).bit_length())


def _fixed_sizes(least: int, most: int) -> list[int]:
    return [1 << i for i in range(least.bit_length() - 1, most.bit_length())]


def _inside(photos: Photos, boxes: Tensor, of: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes that touch their photo, their photos, and what of them lies in it, int32 (n, 4)."""
    import torch

    corners = boxes.to(torch.int32)  # towards zero, and counted from 1, as facenet-pytorch's pad() does
    low = corners[:, :2].clamp(min=1) - 1
    high = torch.minimum(corners[:, 2:], torch.stack([photos.widths[of], photos.heights[of]], 1))
    [inside] = (high > low).all(1).nonzero(as_tuple=True)
    return boxes[inside], of[inside], torch.cat([low, high], 1)[inside]


def _crops(photos: Photos, of: Tensor, edges: Tensor, side: int) -> Iterator[Tensor]:
    """What the rectangles (n, 4) show of their photos, scaled: parts of (n, 3, side, side), filled up with black."""
    import torch

    whole, rest = divmod(len(of), _CROPS_AT_ONCE)
    missing = whole * _CROPS_AT_ONCE + (fixed_size(rest, _LEAST_CROPS) if rest else 0) - len(of)
    of, edges = torch.nn.functional.pad(of, (0, missing)), torch.nn.functional.pad(edges, (0, 0, 0, missing))
    pixel = torch.arange(side, dtype=torch.int32, device=edges.device)
    for start in range(0, len(of), _CROPS_AT_ONCE):
        numbers, part = of[start : start + _CROPS_AT_ONCE], edges[start : start + _CROPS_AT_ONCE]
        left, top, right, bottom = (each[:, None] for each in part.unbind(1))
        lefts, rights = (left + each for each in edges_of_parts(pixel, side, right - left))  # (n, side)
        tops, bottoms = (top + each for each in edges_of_parts(pixel, side, bottom - top))
        across, down = (slice(None), None, slice(None)), (slice(None), slice(None), None)
        yield mean_colours(photos, numbers, (lefts[across], tops[down], rights[across], bottoms[down]))


def apply_regression(boxes: Tensor, regression: Tensor, extra: float = 0.0) -> Tensor:
    """As box_math.apply_regression, on the device."""
    size = boxes[:, 2:] - boxes[:, :2] + extra
    return boxes + regression * size.repeat(1, 2)


def to_square(boxes: Tensor) -> Tensor:
    """As box_math.to_square, on the device."""
    import torch

    size = boxes[:, 2:] - boxes[:, :2]
    side = size.amax(1, keepdim=True)
    corner = boxes[:, :2] + (size - side) * 0.5
    return torch.cat([corner, corner + side], 1)


def _detections(rows: np.ndarray[tuple[int, int], np.dtype[np.float32]], photos: int) -> list[list[Detection]]:
    """Cascade._output's rows as each photo's detections, the largest first."""
    found: list[list[Detection]] = [[] for _ in range(photos)]
    for photo, left, top, right, bottom, score, *points in rows.tolist():
        landmarks = tuple(zip(points[:5], points[5:], strict=True))
        found[int(photo)].append(Detection(Box(left, top, right, bottom), landmarks, score))
    return [sorted(each, key=lambda detection: detection.box.area, reverse=True) for each in found]
