"""Cuts faces out of a photo as FaceNet wants them, also out of one that isn't turned upright yet.

A large photo takes 4 bytes a pixel, and turned as much again; faces that are cut out of it and turned then are the same
to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from PIL import Image

from service.values import CROP_SIDE, Box, Rgb

CROP_MARGIN = 14
"""Pixels of the crop that lie outside the box, left and right together; facts: 99.30 % on LFW with it."""

CLOCKWISE = {
    90: Image.Transpose.ROTATE_270,  # Pillow counts counter-clockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
"""What turns a picture clockwise by so many degrees."""

_Area = tuple[int, int, int, int]
_SWAPPING = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
}
"""Those that make width of height."""


def crop(photo: Image.Image, box: Box, turns: Sequence[Image.Transpose] = ()) -> Rgb:
    """The face with its margin as FaceNet wants it, uint8 (160, 160, 3): facenet-pytorch's `extract_face`.

    The margin is cut off at the photo's edges and the rest stretched to the square, as it was in training. The box
    stands where it is once the photo has had its turns, one after another.
    """
    sizes = list(accumulate(turns, _turned_size, initial=photo.size))  # before each turn, and after the last one
    area = _area_of(sizes[-1], box)
    for turn, size in zip(reversed(turns), reversed(sizes[:-1]), strict=True):
        area = _before(turn, size, area)
    face = photo.crop(area)
    for turn in turns:
        face = face.transpose(turn)
    return np.asarray(face.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BILINEAR))


def stacked(crops: Sequence[Rgb]) -> Image.Image:
    """One picture of all crops, each below the one before."""
    return Image.fromarray(np.concatenate(crops))


def unstacked(picture: Image.Image) -> list[Rgb]:
    """The crops that were stacked."""
    return list(np.asarray(picture).reshape(-1, CROP_SIDE, CROP_SIDE, 3))


def _area_of(size: tuple[int, int], box: Box) -> _Area:
    width, height = size
    margin_x = CROP_MARGIN * box.width / (CROP_SIDE - CROP_MARGIN) / 2
    margin_y = CROP_MARGIN * box.height / (CROP_SIDE - CROP_MARGIN) / 2
    left, top = int(max(box.left - margin_x, 0)), int(max(box.top - margin_y, 0))
    right, bottom = int(min(box.right + margin_x, width)), int(min(box.bottom + margin_y, height))
    return left, top, max(right, left), max(bottom, top)  # black, should the networks move a box off the photo


def _turned_size(size: tuple[int, int], turn: Image.Transpose) -> tuple[int, int]:
    return (size[1], size[0]) if turn in _SWAPPING else size


def _before(turn: Image.Transpose, size: tuple[int, int], area: _Area) -> _Area:
    """Where an area was in a picture of that size before it had the turn."""
    (width, height), (left, top, right, bottom) = size, area
    return {
        Image.Transpose.FLIP_LEFT_RIGHT: (width - right, top, width - left, bottom),
        Image.Transpose.FLIP_TOP_BOTTOM: (left, height - bottom, right, height - top),
        Image.Transpose.ROTATE_180: (width - right, height - bottom, width - left, height - top),
        Image.Transpose.TRANSPOSE: (top, left, bottom, right),
        Image.Transpose.TRANSVERSE: (width - bottom, height - right, width - top, height - left),
        Image.Transpose.ROTATE_90: (width - bottom, left, width - top, right),
        Image.Transpose.ROTATE_270: (top, height - right, bottom, height - left),
    }[turn]
