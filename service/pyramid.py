"""The scaled copies of a photo in which PNet looks for faces of every size, laid out on one canvas.

PNet sees windows of 12×12 pixels, so a face is found in the copy that shrinks it to about that. Copies follow
facenet-pytorch's scales (smallest face 20 px, factor 0.709) and its way of averaging areas, to the last digit: a box's
edges depend on which copy proposed it, and an embedding follows the edges. A search for larger faces only leaves out
the finest copies, so the faces that it does find are the same.

A network is fast at one fixed shape, but copies come in all sizes. They are therefore packed onto a canvas of one of a
few shapes: one inference for the whole pyramid, and nothing to recompile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces import Rgb

WINDOW = 12
"""Side of PNet's window in pixels; it moves in steps of STRIDE."""
STRIDE = 2
SMALLEST_FACE = 20
"""Pixels; facenet-pytorch's default, where its grid of scales begins."""
FACTOR = 0.709

CANVASES = ((128, 192), (192, 288), (288, 384), (416, 512), (512, 640), (640, 768))
"""Heights and widths; sizes grow by about 1.4 so that little is wasted."""

Integral = NDArray[np.int32]
"""Shape (height + 1, width + 1, 3): sums of all pixels above and to the left. Sums past 2^31 wrap around, and so do
their differences, back to the right value for any area of up to 8 million pixels."""


class Level(NamedTuple):
    """One scaled copy of the photo: its scale and size, and the top left corner of its place on the canvas."""

    scale: float
    height: int
    width: int
    top: int = 0
    left: int = 0


class Layout(NamedTuple):
    """A canvas of the given size with the levels on it."""

    height: int
    width: int
    levels: tuple[Level, ...]


def integral(photo: Rgb) -> Integral:
    """Sums over all areas that begin in the top left corner."""
    return cv2.integral(photo, sdepth=cv2.CV_32S).astype(np.int32, copy=False)


def smallest_face(height: int, width: int, min_face: int, share: float) -> float:
    """Side in pixels of the smallest face worth finding.

    That is `share` of the longer side and at least `min_face`; but in a panorama, whose faces are small beside its
    length, twice that share of the shorter side.
    """
    longer, shorter = max(height, width), min(height, width)
    return max(min_face, min(longer * share, shorter * share * 2))


@lru_cache(maxsize=256)
def layouts(height: int, width: int, smallest: float) -> tuple[Layout, ...]:
    """The pyramid of a photo of this size for faces of `smallest` pixels and more, on as few canvases as will do.

    Empty when the photo is too small to hold such a face. Mostly one canvas; a copy larger than any canvas (a
    panorama's) lies on one of its own size.
    """
    levels = _levels(height, width, smallest)
    largest_height, largest_width = CANVASES[-1]
    large = [level for level in levels if level.height > largest_height or level.width > largest_width]
    small = levels[len(large) :]
    singles = [Layout(level.height, level.width, (level,)) for level in large]
    while small:
        packed = next((fit for size in CANVASES if (fit := _pack(small, *size))), None)
        if packed:
            return (*singles, packed)
        alone = small.pop(0)
        singles.append(Layout(alone.height, alone.width, (alone,)))
    return tuple(singles)


def paint(layout: Layout, sums: Integral) -> NDArray[np.float32]:
    """The canvas, shape (1, height, width, 3), 0 to 255, grey (0 once normalised) where no level lies."""
    canvas = np.full((1, layout.height, layout.width, 3), 127.5, dtype=np.float32)
    whole = np.array([[0, 0, sums.shape[1] - 1, sums.shape[0] - 1]])
    for level in layout.levels:
        below, right = level.top + level.height, level.left + level.width
        canvas[0, level.top : below, level.left : right] = area_average(sums, whole, level.height, level.width)[0]
    return canvas


def area_average(sums: Integral, boxes: NDArray[np.int_], height: int, width: int) -> NDArray[np.float32]:
    """Scale the areas of n boxes (left, top, right, bottom; inside the photo, not empty) to one size.

    Returns shape (n, height, width, 3). A target pixel is the mean of the source pixels from floor(i·h/H) up to
    ceil((i+1)·h/H), as in torch's `interpolate(mode="area")`, which facenet-pytorch scales with.
    """
    tops, bottoms = _edges(boxes[:, 1], boxes[:, 3], height)  # (n, height)
    lefts, rights = _edges(boxes[:, 0], boxes[:, 2], width)  # (n, width)
    if len(boxes) == 1:  # whole rows first: half the lookups of the general way
        rows = sums[bottoms[0]] - sums[tops[0]]
        total = (rows[:, rights[0]] - rows[:, lefts[0]])[None]
    else:
        flat, row = sums.reshape(-1, 3), sums.shape[1]
        top, bottom = tops[:, :, None] * row, bottoms[:, :, None] * row
        left, right = lefts[:, None, :], rights[:, None, :]
        total = flat.take(bottom + right, axis=0) - flat.take(bottom + left, axis=0)
        total -= flat.take(top + right, axis=0) - flat.take(top + left, axis=0)
    pixels = (bottoms - tops)[:, :, None] * (rights - lefts)[:, None, :]
    return np.asarray(total / pixels[..., None].astype(np.float32), dtype=np.float32)


def _edges(low: NDArray[np.int_], high: NDArray[np.int_], parts: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and past-the-last source pixel of each of `parts` target pixels, each (n, parts)."""
    size, part = (high - low)[:, None], np.arange(parts)
    first = low[:, None] + part * size // parts
    past = low[:, None] - (-(part + 1) * size // parts)
    return first, past


def _levels(height: int, width: int, smallest: float) -> list[Level]:
    """The copies from the finest needed down to the one where the photo is as small as PNet's window."""
    scale = WINDOW / SMALLEST_FACE
    levels = []
    # As in facenet-pytorch, the scale is multiplied up step by step: a power would round differently.
    while min(height, width) * scale >= WINDOW:
        if WINDOW / (scale * FACTOR) > smallest:  # the next copy would no longer hold the smallest face
            levels.append(Level(scale, int(height * scale + 1), int(width * scale + 1)))
        scale *= FACTOR
    return levels


def _pack(levels: list[Level], height: int, width: int) -> Layout | None:
    """Place the levels, largest first, each into the smallest free rectangle that takes it; None if one won't fit.

    Places are even, so that PNet's steps fall on the same pixels as in the copy alone. What is left of a rectangle is
    cut into the strip to the right and the strip below.
    """
    free = [(0, 0, height, width)]
    placed = []
    for level in levels:
        rise, run = _even(level.height), _even(level.width)
        fitting = [spot for spot in free if spot[2] >= rise and spot[3] >= run]
        if not fitting:
            return None
        spot = min(fitting, key=lambda each: each[2] * each[3])
        free.remove(spot)
        top, left, room_down, room_right = spot
        placed.append(level._replace(top=top, left=left))
        if room_right - run > room_down - rise:  # keep the larger of the two rests whole
            free += [(top, left + run, room_down, room_right - run), (top + rise, left, room_down - rise, run)]
        else:
            free += [(top, left + run, rise, room_right - run), (top + rise, left, room_down - rise, room_right)]
    return Layout(height, width, tuple(placed))


def _even(size: int) -> int:
    return size + size % 2
