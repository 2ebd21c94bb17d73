"""Which of a photo's faces are wanted, given as the detector does: the largest first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.errors import MultipleFaces
from service.gallery.choices import center, every, front, largest, one_face, single
from service.settings import FaceChoice, Settings
from service.values import Box, Detection
from service.vision.detector import Detector

SIZE = (100, 100)
SURE, UNSURE = (Detection(Box(0, 0, 9, 9), ((0.0, 0.0),) * 5, score) for score in (0.95, 0.85))


def face(left: float, top: float, side: float) -> Detection:
    return replace(SURE, box=Box(left, top, left + side, top + side))


LARGE, NEARLY, SMALL = face(0, 0, 40), face(60, 30, 30), face(45, 45, 10)
"""In a photo of 100 pixels: in a corner, nearer to the centre with 0.56 of the area, and in the centre with 0.06."""


def test_only_faces_that_the_detector_is_sure_of_count() -> None:
    """Whichever of them are wanted; of none, none."""
    found = [UNSURE, SURE, UNSURE]
    for choice in (front, largest, center, every, single):
        assert choice(0.9)(found, SIZE) == [SURE]
        assert choice(0.9)([UNSURE], SIZE) == choice(0.9)([], SIZE) == []


def test_of_several_the_first_all_or_none() -> None:
    """None, and an error, where there may be but one."""
    found = [SURE, SURE]
    assert largest(0.9)(found, SIZE) == [SURE]
    assert every(0.9)(found, SIZE) == found
    with pytest.raises(MultipleFaces, match="shows 2 faces"):
        single(0.9)(found, SIZE)


def test_in_front_is_the_most_central_of_the_nearly_largest() -> None:
    found = [LARGE, NEARLY, SMALL]
    assert front(0.9)(found, SIZE) == [NEARLY]
    assert largest(0.9)(found, SIZE) == [LARGE]
    assert center(0.9)(found, SIZE) == [SMALL]
    assert front(0.9)([LARGE, SMALL], SIZE) == [LARGE]


def test_the_centre_is_that_of_the_photo_given() -> None:
    """A photo twice as wide has its centre elsewhere."""
    left, right = face(30, 30, 40), face(80, 30, 40)
    assert front(0.9)([left, right], (100, 100)) == [left]
    assert front(0.9)([left, right], (200, 100)) == [right]


def test_a_face_that_is_not_sure_sets_no_measure() -> None:
    """The largest that counts is the largest of the sure ones."""
    unsure = replace(face(0, 0, 90), score=0.85)
    assert front(0.9)([unsure, NEARLY, face(0, 0, 25)], SIZE) == [NEARLY]


@pytest.mark.parametrize(("word", "expected"), [("front", NEARLY), ("largest", LARGE), ("center", SMALL)])
def test_the_setting_says_which(word: FaceChoice, expected: Detection) -> None:
    settings = replace(Settings(min_score=0.9), choice=word)
    assert one_face(settings)([LARGE, NEARLY, SMALL], SIZE) == [expected]


def test_a_motorcycle_is_nobody(detector: Detector, photos: Path) -> None:
    """The detector takes it for a face, but is less sure than a usable face needs."""
    picture = Image.open(photos / "motorcycle_left.png").convert("RGB")
    found = detector.detect(np.asarray(picture))
    assert max(each.score for each in found) > 0.9
    assert one_face(Settings())(found, picture.size) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "across", "down"),
    [
        ("multiface.jpg", 0.55, 0.39),  # of six friends on a stair, the one in their middle
        ("poses/t1.jpg", 0.62, 0.46),  # of six at a table, he who sits at its middle
        ("groups/obama_and_biden.jpg", 0.42, 0.36),  # not the child at the edge; of the two, he who is more central
        ("groups/kit_with_rose.jpg", 0.61, 0.20),  # both at the same height; he is the larger and the more central
        ("groups/obama.jpg", 0.54, 0.22),  # not the bust on the table behind him
    ],
)
def test_who_is_in_front_of_real_groups(
    detector: Detector, shared: Path, name: str, across: float, down: float
) -> None:
    """The centre of the face as shares of the photo's width and height, read off the photo by eye."""
    picture = Image.open(shared / "faces" / "photos" / name).convert("RGB")
    [chosen] = one_face(Settings())(detector.detect(np.asarray(picture)), picture.size)
    left, top, right, bottom = chosen.box
    assert (left + right) / 2 / picture.width == pytest.approx(across, abs=0.02)
    assert (top + bottom) / 2 / picture.height == pytest.approx(down, abs=0.02)
