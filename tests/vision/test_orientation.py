"""A photo that lies on a side or upside down is turned until its faces stand upright; others are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.values import Detection, Rgb
from service.vision.detector import Detector
from service.vision.orientation import UPRIGHT_SCORE, search, turned


@pytest.fixture(scope="module")
def portrait(photos: Path) -> Image.Image:
    picture = Image.open(photos / "obama2.jpg").convert("RGB")
    picture.thumbnail((400, 400))
    return picture


def test_pictures_are_turned_clockwise() -> None:
    """What was at the top is at the right after 90 degrees."""
    picture = Image.new("RGB", (20, 10))
    picture.putpixel((10, 0), (255, 0, 0))
    assert turned(picture, 0) is picture
    assert turned(picture, 90).size == (10, 20)
    assert turned(picture, 90).getpixel((9, 10)) == (255, 0, 0)
    assert turned(picture, 180).getpixel((9, 9)) == (255, 0, 0)
    assert turned(picture, 270).getpixel((0, 9)) == (255, 0, 0)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_lying_photo_is_turned_back_to_the_very_same_pixels(
    detector: Detector, portrait: Image.Image, rotation: int
) -> None:
    """Its detections are those of the upright photo."""
    view = search(turned(portrait, (360 - rotation) % 360), detector, rotate=True)
    assert view.rotation == rotation
    assert view.picture.tobytes() == portrait.tobytes()
    assert view.detections == detector.detect(np.asarray(portrait))


def test_an_upright_photo_is_searched_once(
    detector: Detector, portrait: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times only where no face is sure to stand upright, and the photo then stays as it is if none is found."""
    searched: list[tuple[int, ...]] = []
    detect = detector.detect

    def watched(photo: Rgb) -> list[Detection]:
        searched.append(photo.shape[:2])
        return detect(photo)

    monkeypatch.setattr(detector, "detect", watched)
    view = search(portrait, detector, rotate=True)
    assert max(each.score for each in view.detections) >= UPRIGHT_SCORE
    assert searched == [(portrait.height, portrait.width)]
    grey = Image.new("RGB", (200, 100), (127, 127, 127))
    assert search(grey, detector, rotate=True) == (grey, 0, [])
    assert searched[1:] == [(100, 200), (200, 100), (100, 200), (200, 100)]


def test_without_rotation_photos_stay_as_they_lie(detector: Detector, portrait: Image.Image) -> None:
    lying = turned(portrait, 90)
    view = search(lying, detector, rotate=False)
    assert view.picture is lying
    assert view.rotation == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rotation"), [("rot_0.jpg", 0), ("rot_270.jpg", 90), ("rot_180.jpg", 180), ("rot_90.jpg", 270)]
)
def test_real_lying_photos_are_turned(detector: Detector, shared: Path, name: str, rotation: int) -> None:
    """They are named by how many degrees clockwise the photo lies turned."""
    picture = Image.open(shared / "faces" / "photos" / "poses" / name).convert("RGB")
    view = search(picture, detector, rotate=True)
    assert view.rotation == rotation
    assert max(each.score for each in view.detections) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Suzanne_Haik_Terrell/Suzanne_Haik_Terrell_0001", "Cindy_Taylor/Cindy_Taylor_0001"])
def test_an_upright_photo_is_not_turned_where_a_side_is_hardly_surer(
    detector: Detector, shared: Path, name: str
) -> None:
    """These score a few thousandths more lying on a side."""
    picture = Image.open(shared / "faces" / "lfw_dev" / "images" / f"{name}.jpg").convert("RGB")
    assert search(picture, detector, rotate=True).rotation == 0


@pytest.mark.slow
def test_a_photo_without_a_face_has_none_lying_either(detector: Detector, photos: Path) -> None:
    for name in ("chelsea.png", "coffee.png", "coins.png", "motorcycle_left.png", "motorcycle_right.png"):
        view = search(Image.open(photos / name).convert("RGB"), detector, rotate=True)
        assert max((each.score for each in view.detections), default=0.0) < 0.97, name
