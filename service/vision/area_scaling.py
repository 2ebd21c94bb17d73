"""Scales many areas of a photo at once, each target pixel the mean of the source pixels below it.

That is torch's `interpolate(mode="area")`, with which facenet-pytorch scales: target pixel i of H takes in the source
pixels from floor(i·h/H) up to ceil((i+1)·h/H). Other libraries weigh the pixels at the rim by their share, or round to
whole numbers; MTCNN's boxes then move by one to two percent, and embeddings by up to 0.05 in cosine.

A sum over any rectangle is four look-ups in the integral image (Viola and Jones, 2001), however large it is. OpenCV's
remap is used for these: it moves 12 bytes a pixel in one go, whatever they mean, several times faster than numpy and
without Python's lock.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from service.values import Rgb

MAX_SIDE = 32_765
"""Pixels; remap counts in 16 bits, and the integral image has a row and a column more."""

_NO_FRACTIONS = np.empty(0, np.int16)
"""remap's second map, for fractions of pixels, which there are none of."""

IntegralImage = NDArray[np.int32]
"""Shape (height + 1, width + 1, 3): sums of all pixels above and to the left. Sums past 2^31 wrap around, and so do
their differences, back to the right value for any area of up to 8 million pixels."""


class SourceAreas(NamedTuple):
    """Which rectangle of the photo makes up each target pixel.

    `corners`, (4, …, height, width, 2), are places in the integral image: x and y of the rectangle's bottom right,
    bottom left, top right and top left corner. `weights`, (…, height, width, 1), are one over its number of pixels.
    """

    corners: NDArray[np.int16]
    weights: NDArray[np.float32]


def integral_image(photo: Rgb) -> IntegralImage:
    """Sums over all areas that begin in the top left corner of a photo with sides of up to MAX_SIDE."""
    return np.asarray(cv2.integral(photo, sdepth=cv2.CV_32S), dtype=np.int32)


def source_areas(boxes: NDArray[np.int_], *, height: int, width: int) -> SourceAreas:
    """Where the pixels of n boxes come from, each scaled to (height, width).

    `boxes`, (n, 4), are left, top, right, bottom in pixels of the photo; inside it, and none is empty.
    """
    tops, bottoms = _source_edges(boxes[:, 1], boxes[:, 3], height)  # (n, height)
    lefts, rights = _source_edges(boxes[:, 0], boxes[:, 2], width)  # (n, width)
    corners = np.empty((4, len(boxes), height, width, 2), np.int16)
    corners[0::2, ..., 0] = rights[:, None, :]  # of the bottom right and the top right corner: x, the same in each row
    corners[1::2, ..., 0] = lefts[:, None, :]  # of the bottom left and the top left corner
    corners[:2, ..., 1] = bottoms[:, :, None]  # of the two bottom corners: y, the same in each column
    corners[2:, ..., 1] = tops[:, :, None]  # of the two top corners
    sizes = (bottoms - tops)[:, :, None] * (rights - lefts)[:, None, :]  # pixels of each area, (n, height, width)
    return SourceAreas(corners, (1 / sizes)[..., None].astype(np.float32))


def mean_colours(integral: IntegralImage, areas: SourceAreas) -> NDArray[np.float32]:
    """The mean colour of every area, 0 to 255, (…, height, width, 3)."""
    shape = areas.weights.shape[:-1]  # (…, height, width)
    places = areas.corners.reshape(4, -1, shape[-1], 2)  # remap takes two dimensions: all rows below one another
    sums = np.empty((*places.shape[1:3], 3), np.int32)  # (rows, width, 3)
    for start in range(0, len(sums), MAX_SIDE):  # remap writes no more rows at once
        bottom_right, bottom_left, top_right, top_left = places[:, start : start + MAX_SIDE]  # (rows, width, 2) each
        part = sums[start : start + MAX_SIDE]
        _look_up(integral, bottom_right, part)
        # What lies left of the area and what lies above it goes; what lies both left and above went twice.
        looked_up = np.empty_like(part)
        for corner, change in ((bottom_left, np.subtract), (top_right, np.subtract), (top_left, np.add)):
            _look_up(integral, corner, looked_up)
            change(part, looked_up, out=part)
    means = sums.reshape(*shape, 3).astype(np.float32)
    means *= areas.weights
    return means


def _look_up(integral: IntegralImage, places: NDArray[np.int16], out: NDArray[np.int32]) -> None:
    """Write the sums at `places`, (rows, width, 2), into `out`, (rows, width, 3)."""
    # remap knows no int32: the same bytes are called float32. No arithmetic is done on them.
    cv2.remap(integral.view(np.float32), places, _NO_FRACTIONS, cv2.INTER_NEAREST, dst=out.view(np.float32))


def _source_edges(
    low: NDArray[np.int_], high: NDArray[np.int_], parts: int
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and past-the-last source pixel, (n, parts) each, of the target pixels that split `low` to `high`, (n,)."""
    size, part = (high - low)[:, None], np.arange(parts)  # (n, 1), (parts,)
    first = low[:, None] + part * size // parts  # rounded down
    past = low[:, None] - (-(part + 1) * size // parts)  # rounded up: minus the floor of the negative
    return first, past
