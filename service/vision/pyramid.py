"""The scaled copies of a photo in which PNet looks for faces of every size, laid out on canvases.

PNet sees windows of 12×12 pixels, so a face is found in the copy that shrinks it to about that. Copies follow
facenet-pytorch's scales (smallest face 20 px, factor 0.709) and its way of averaging areas, to the last digit: a box's
edges depend on which copy proposed it, and an embedding follows the edges. A search for larger faces only leaves out
the finest copies, so the faces that it does find are the same.

A network is fast at one fixed shape, but copies come in all sizes. They are therefore packed onto a canvas of one of a
few shapes: one inference or two for the whole pyramid, and nothing to recompile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.models.conversion import BEYOND
from service.vision.area_scaling import IntegralImage, SourceAreas, mean_colours, source_areas

WINDOW = 12
"""Side of PNet's window in pixels; it moves in steps of STRIDE."""
STRIDE = 2
SMALLEST_FACE = 20
"""Pixels; facenet-pytorch's default, where its grid of scales begins."""
FACTOR = 0.709
TOLERANCE = FACTOR**0.5
"""The search begins at the copy that shows the smallest face at 12 pixels times this to one over this: PNet still knows
it. Measured: 181 of 181 faces of 1/25 to 1/18 of the photo found, and 99.7 % of those of LFW of 40 pixels and more."""

CANVASES = ((96, 144), (144, 144), (192, 160), (256, 320), (360, 288), (360, 360), (192, 768), (768, 192))
"""Heights and widths, chosen for the least area over the common sizes of photos; the last two are for panoramas.

More of them would waste less time on empty canvas (a tenth at most), but each holds 130 bytes a pixel once it was used.
"""
INFERENCE_COST = 8000
"""What running PNet once more costs, in pixels of canvas."""


class Level(NamedTuple):
    """One scaled copy of the photo: its scale and size, and the top left corner of its place on the canvas."""

    scale: float
    height: int
    width: int
    top: int = 0
    left: int = 0


class CanvasLayout(NamedTuple):
    """A canvas of the given size with the levels on it."""

    height: int
    width: int
    levels: tuple[Level, ...]


def smallest_face(height: int, width: int, *, min_face: int, share: float) -> float:
    """Side in pixels of the smallest face worth finding.

    That is `share` of the longer side and at least `min_face`; but in a panorama, whose faces are small beside its
    length, twice that share of the shorter side.
    """
    longer, shorter = max(height, width), min(height, width)
    return max(min_face, min(longer * share, shorter * share * 2))


@lru_cache(maxsize=256)
def lay_out(height: int, width: int, smallest: float) -> tuple[CanvasLayout, ...]:
    """The pyramid of a photo of this size for faces of `smallest` pixels and more, on canvases of the least area.

    Empty when the photo is too small to hold such a face. Mostly one canvas, or two; a copy larger than any of CANVASES
    (a long panorama's) gets one of its own size.
    """
    levels = _levels(height, width, smallest)
    return tuple(_least_area(levels)) if levels else ()


def _levels(height: int, width: int, smallest: float) -> list[Level]:
    """The copies from the finest needed down to the one where the photo is as small as PNet's window."""
    scale = WINDOW / SMALLEST_FACE
    levels = []
    # As in facenet-pytorch, the scale is multiplied up step by step: a power would round differently.
    while min(height, width) * scale >= WINDOW:
        if WINDOW / (scale * FACTOR) * TOLERANCE > smallest:  # the next copy would shrink the smallest face too far
            levels.append(Level(scale, int(height * scale + 1), int(width * scale + 1)))
        scale *= FACTOR
    return levels


def _least_area(levels: list[Level]) -> list[CanvasLayout]:
    """All levels on one canvas, or the first apart from the rest, whichever takes less."""
    first = _smallest_canvas(levels[:1]) or CanvasLayout(levels[0].height, levels[0].width, (levels[0],))
    if len(levels) == 1:
        return [first]
    apart, together = [first, *_least_area(levels[1:])], _smallest_canvas(levels)
    return [together] if together and _cost([together]) <= _cost(apart) else apart


def _smallest_canvas(levels: list[Level]) -> CanvasLayout | None:
    """The smallest of CANVASES that takes all the levels; None where they fit on none."""
    fitting = [packed for height, width in CANVASES if (packed := _pack(levels, height=height, width=width))]
    return min(fitting, key=lambda each: each.height * each.width, default=None)


def _cost(layouts: list[CanvasLayout]) -> int:
    """Of running PNet on them, in pixels."""
    return sum(each.height * each.width + INFERENCE_COST for each in layouts)


def _pack(levels: list[Level], *, height: int, width: int) -> CanvasLayout | None:
    """Place the levels, largest first, each into the smallest free rectangle that takes it; None if one won't fit.

    Places are even, so that PNet's steps fall on the same pixels as in the copy alone. What is left of a rectangle is
    cut into the strip to the right and the strip below.
    """
    free = [_Rectangle(0, 0, height, width)]
    placed = []
    for level in levels:
        down, across = _even(level.height), _even(level.width)  # pixels that the level takes
        fitting = [each for each in free if each.height >= down and each.width >= across]
        if not fitting:
            return None
        taken = min(fitting, key=lambda each: each.height * each.width)
        free.remove(taken)
        placed.append(level._replace(top=taken.top, left=taken.left))
        left_below, left_beside = taken.height - down, taken.width - across
        whole_right = left_beside > left_below  # the larger of the two strips goes through to the corner
        right = _Rectangle(taken.top, taken.left + across, taken.height if whole_right else down, left_beside)
        below = _Rectangle(taken.top + down, taken.left, left_below, across if whole_right else taken.width)
        free += [right, below]
    return CanvasLayout(height, width, tuple(placed))


class _Rectangle(NamedTuple):
    """A free part of a canvas, in pixels."""

    top: int
    left: int
    height: int
    width: int


def _even(size: int) -> int:
    return size + size % 2


class CanvasMap(NamedTuple):
    """What a layout means for every pixel and cell of its canvas.

    `areas` say which source pixels make up each pixel of the canvas, (height, width). `beyond`, float32 (1, 1, height -
    2, width - 2), is 0 where PNet's first layer sees 3×3 pixels of one level, else BEYOND. `level_of`, int8 (cells
    down, cells across), says which level a cell of PNet's answer belongs to; -1 for cells that look at no level or at
    more than one.
    """

    areas: SourceAreas
    beyond: NDArray[np.float32]
    level_of: NDArray[np.int8]


@lru_cache(maxsize=4)  # cameras and terminals send the same size again and again; a large map takes 5 MB
def map_canvas(layout: CanvasLayout, photo_height: int, photo_width: int) -> CanvasMap:
    """Work out once what is the same for all photos of a size."""
    corners = np.zeros((4, layout.height, layout.width, 2), np.int16)  # all in the top left corner: the sum is 0
    weights = np.zeros((layout.height, layout.width, 1), np.float32)  # so that pixels of no level are black
    beyond = np.full((1, 1, layout.height - 2, layout.width - 2), BEYOND, np.float32)
    level_of = np.full((_cells(layout.height), _cells(layout.width)), -1, np.int8)
    photo = np.array([[0, 0, photo_width, photo_height]])  # (1, 4): left, top, right, bottom
    for i, level in enumerate(layout.levels):
        areas = source_areas(photo, height=level.height, width=level.width)
        top, left = level.top, level.left
        place = np.s_[top : top + level.height, left : left + level.width]
        corners[:, *place] = areas.corners[:, 0]  # (4, level's height, level's width, 2)
        weights[place] = areas.weights[0]
        # Without padding, 3×3 pixels wide: the first layer's answer is two pixels narrower than the level.
        beyond[:, :, top : top + level.height - 2, left : left + level.width - 2] = 0
        row, column = top // STRIDE, left // STRIDE  # whole numbers, for places are even
        level_of[row : row + _cells(level.height), column : column + _cells(level.width)] = i
    return CanvasMap(SourceAreas(corners, weights), beyond, level_of)


def _cells(size: int) -> int:
    """How many places PNet's window has along `size` pixels; the last may be half outside, as torch pools there."""
    return (size - WINDOW + 1) // STRIDE + 1


def render_canvas(canvas_map: CanvasMap, integral: IntegralImage) -> NDArray[np.float32]:
    """The canvas, (1, height, width, 3), 0 to 255."""
    return mean_colours(integral, canvas_map.areas)[None]
