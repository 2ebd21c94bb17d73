"""Faces that are cut out of a photo that lies some way are those of the same photo turned upright."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from PIL import Image

from service.values import Box
from service.vision.cropping import CLOCKWISE, crop, stacked, unstacked

BOXES = {
    "within": Box(10.2, 20.7, 60.9, 81.1),
    "over the edges": Box(-20.0, -3.5, 300.0, 40.0),
    "off the photo": Box(400.0, 500.0, 460.0, 580.0),
}
TURNS: list[tuple[Image.Transpose, ...]] = [
    *((each,) for each in Image.Transpose),
    *product(Image.Transpose, CLOCKWISE.values()),
]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Every pixel differs from its neighbours, and width from height."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (97, 130, 3), np.uint8))


@pytest.mark.parametrize("where", BOXES)
def test_a_face_is_the_same_whether_the_photo_is_turned_or_the_face(photo: Image.Image, where: str) -> None:
    """By EXIF in each of its ways, and on top of that lying in each of the others."""
    for turns in TURNS:
        upright = photo
        for turn in turns:
            upright = upright.transpose(turn)
        assert np.array_equal(crop(photo, BOXES[where], turns), crop(upright, BOXES[where]))


def test_crops_travel_as_one_picture(photo: Image.Image) -> None:
    crops = [crop(photo, each) for each in BOXES.values()]
    picture = stacked(crops)
    assert picture.size == (160, 480)
    assert np.array_equal(np.stack(unstacked(picture)), np.stack(crops))
