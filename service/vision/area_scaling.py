"""Scales many areas of a photo at once, each target pixel the mean of the source pixels below it.

That is torch's `interpolate(mode="area")`, with which facenet-pytorch scales: target pixel i of H takes in the source
pixels from floor(i·h/H) up to ceil((i+1)·h/H). Other libraries weigh the pixels at the rim by their share, or round to
whole numbers; MTCNN's boxes then move by one to two percent, and embeddings by up to 0.05 in cosine.

A sum over any rectangle is four look-ups in the table of sums, however large it is. OpenCV's remap is used for these:
it moves 12 bytes a pixel in one go, whatever they mean, several times faster than numpy and without Python's lock.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from service.values import Rgb

MAX_SIDE = 32_765
"""Pixels; remap counts in 16 bits, and the table of sums has a row and a column more."""

_NO_MAP = np.empty(0, np.int16)
"""remap's second map, for fractions of pixels, which there are none of."""

Integral = NDArray[np.int32]
"""Shape (height + 1, width + 1, 3): sums of all pixels above and to the left. Sums past 2^31 wrap around, and so do
their differences, back to the right value for any area of up to 8 million pixels."""


class Areas(NamedTuple):
    """Which rectangle of the photo makes up each target pixel.

    `corners`, (4, …, 2): x and y of its bottom right, bottom left, top right and top left corner; `share`, (…, 1): one
    over its number of pixels.
    """

    corners: NDArray[np.int16]
    share: NDArray[np.float32]


def integral(photo: Rgb) -> Integral:
    """Sums over all areas that begin in the top left corner of a photo with sides of up to MAX_SIDE."""
    return np.asarray(cv2.integral(photo, sdepth=cv2.CV_32S), dtype=np.int32)


def areas(boxes: NDArray[np.int_], height: int, width: int) -> Areas:
    """n boxes (left, top, right, bottom; inside the photo, not empty), each scaled to (height, width)."""
    tops, bottoms = _edges(boxes[:, 1], boxes[:, 3], height)  # (n, height)
    lefts, rights = _edges(boxes[:, 0], boxes[:, 2], width)  # (n, width)
    corners = np.empty((4, len(boxes), height, width, 2), np.int16)
    corners[0::2, ..., 0] = rights[:, None, :]
    corners[1::2, ..., 0] = lefts[:, None, :]
    corners[:2, ..., 1] = bottoms[:, :, None]
    corners[2:, ..., 1] = tops[:, :, None]
    share = 1 / ((bottoms - tops)[:, :, None] * (rights - lefts)[:, None, :])
    return Areas(corners, share[..., None].astype(np.float32))


def average(sums: Integral, areas: Areas) -> NDArray[np.float32]:
    """The mean colour of every area, 0 to 255, (…, 3)."""
    shape = areas.share.shape[:-1]
    table = sums.view(np.float32)  # remap has no name for the type; no arithmetic is done on it
    maps = areas.corners.reshape(4, -1, shape[-1], 2)
    total = np.empty((*maps.shape[1:3], 3), np.int32)
    for start in range(0, len(total), MAX_SIDE):
        bottom_right, bottom_left, top_right, top_left = maps[:, start : start + MAX_SIDE]
        part = total[start : start + MAX_SIDE]
        _look_up(table, bottom_right, part)
        looked_up = np.empty_like(part)
        for corner, change in ((bottom_left, np.subtract), (top_right, np.subtract), (top_left, np.add)):
            _look_up(table, corner, looked_up)
            change(part, looked_up, out=part)
    mean = total.reshape(*shape, 3).astype(np.float32)
    mean *= areas.share
    return mean


def _look_up(table: NDArray[np.float32], places: NDArray[np.int16], out: NDArray[np.int32]) -> None:
    cv2.remap(table, places, _NO_MAP, cv2.INTER_NEAREST, dst=out.view(np.float32))


def _edges(low: NDArray[np.int_], high: NDArray[np.int_], parts: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and past-the-last source pixel of each of `parts` target pixels, each (n, parts)."""
    size, part = (high - low)[:, None], np.arange(parts)
    first = low[:, None] + part * size // parts
    past = low[:, None] - (-(part + 1) * size // parts)
    return first, past
