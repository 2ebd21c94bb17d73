"""What a face's quality is measured as, and what is said of poor ones: portraits made worse, and real poor photos."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from service.errors import (
    FaceBlurred,
    FaceDark,
    FaceNoisy,
    FaceOverexposed,
    FacePale,
    FaceServiceError,
    FaceSmall,
    FaceTurned,
    MultipleFaces,
)
from service.values import Box, Detection, Face, Landmarks, Quality, Rgb
from service.vision.cropping import crop
from service.vision.detector import Detector
from service.vision.quality import (
    ENROLL,
    ENROLL_STRICT,
    IDENTIFY,
    checks_for,
    failure_of,
    measure,
    require_quality,
    turn_of_head,
)
from tests.support.qualities import GOOD

LANDMARKS = ((60.0, 70.0), (100.0, 70.0), (80.0, 92.0), (64.0, 110.0), (96.0, 110.0))
DETECTION = Detection(Box(40, 30, 120, 130), LANDMARKS, 0.99)
PEOPLE = ["obama", "obama2", "biden", "astronaut"]

Damage = Callable[[Rgb], Any]
DAMAGES: dict[type[FaceServiceError], Damage] = {
    FaceDark: lambda photo: photo * 0.08,
    FacePale: lambda photo: 160 + (photo.astype(float) - 160) * 0.12,
    FaceNoisy: lambda photo: photo + np.random.default_rng(1).normal(0, 60, photo.shape),
    FaceBlurred: lambda photo: cv2.GaussianBlur(photo, (0, 0), 6),
    FaceOverexposed: lambda photo: photo * 2.5,
}


def pixels(damaged: Any) -> Rgb:
    return np.asarray(np.clip(np.rint(damaged), 0, 255), np.uint8)


def turned(landmarks: Landmarks, degrees: float) -> Landmarks:
    """Clockwise, as the photo shows them, about its corner."""
    turn = complex(np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    points = [complex(*point) * turn for point in landmarks]
    return tuple((point.real, point.imag) for point in points)


@pytest.fixture(scope="module")
def crops(portraits: dict[str, bytes], detector: Detector) -> dict[str, Rgb]:
    """A sound face of each of PEOPLE."""
    found = {}
    for name in PEOPLE:
        photo = Image.open(io.BytesIO(portraits[name])).convert("RGB")
        found[name] = crop(photo, detector.detect(np.asarray(photo))[0].box)
    return found


@pytest.mark.parametrize("name", PEOPLE)
def test_a_sound_portrait_passes(crops: dict[str, Rgb], name: str) -> None:
    assert failure_of(measure(crops[name], DETECTION, []), ENROLL_STRICT) is None


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("error", DAMAGES, ids=lambda error: error.code)
def test_a_damaged_portrait_is_refused_for_what_it_is(
    crops: dict[str, Rgb], name: str, error: type[FaceServiceError]
) -> None:
    """By its own reason, not by another that damage brings along."""
    quality = measure(pixels(DAMAGES[error](crops[name])), DETECTION, [])
    assert type(failure_of(quality, ENROLL)) is error


@pytest.mark.parametrize("name", PEOPLE)
def test_a_moved_portrait_is_refused_whichever_way_it_moved(crops: dict[str, Rgb], name: str) -> None:
    """A movement leaves the edges along it as sharp as they were."""
    for size in ((64, 1), (1, 64)):
        quality = measure(pixels(cv2.blur(crops[name], size)), DETECTION, [])
        assert type(failure_of(quality, IDENTIFY)) is FaceBlurred


@pytest.mark.parametrize("name", PEOPLE)
def test_what_is_still_recognised_passes(crops: dict[str, Rgb], name: str) -> None:
    """Less light, some noise, and a face of 40 pixels: none makes different people alike."""
    small = cv2.resize(cv2.resize(crops[name], (40, 40), interpolation=cv2.INTER_AREA), (160, 160))
    dim = pixels(crops[name] * 0.25)
    noisy = pixels(crops[name] + np.random.default_rng(1).normal(0, 10, dim.shape))
    for each in (small, dim, noisy):
        assert failure_of(measure(pixels(each), DETECTION, []), IDENTIFY) is None


@pytest.mark.parametrize(
    ("name", "error"), [("blurred", FaceBlurred), ("dark", FaceDark)], ids=["out of focus", "without light"]
)
def test_real_poor_photos_are_refused(
    shared: Path, detector: Detector, name: str, error: type[FaceServiceError]
) -> None:
    """Photos that the detector is sure of, and that match whoever was photographed likewise."""
    for path in sorted((shared / "cases" / "photos").glob(f"{name}_*.jpg")):
        photo = Image.open(path).convert("RGB")
        for detection in detector.detect(np.asarray(photo))[:1]:
            assert type(failure_of(measure(crop(photo, detection.box), detection, []), IDENTIFY)) is error


def test_a_plain_colour_is_measured_too() -> None:
    """Without dividing by its contrast, which is none."""
    quality = measure(np.full((160, 160, 3), 255, np.uint8), DETECTION, [])
    assert (quality.sharpness, quality.contrast, quality.clipped_bright, quality.clipped_dark) == (0, 0, 1, 0)
    assert (quality.brightness, quality.side, quality.detection_score) == (255, 80, 0.99)


def test_turn_of_the_head() -> None:
    """Yaw and pitch come from the nose among eyes and mouth, and stay as they are where the head only leans."""
    assert turn_of_head(LANDMARKS) == pytest.approx((0, 0.55, 0))
    aside = (*LANDMARKS[:2], (96.0, 92.0), *LANDMARKS[3:])
    assert turn_of_head(aside) == pytest.approx((0.4, 0.55, 0))
    assert turn_of_head(turned(aside, 30)) == pytest.approx((0.4, 0.55, 30))
    assert turn_of_head(((0.0, 0.0),) * 5) == (0, 0, 0)


def test_only_others_of_some_size_are_bystanders() -> None:
    """Of a quarter of the face's area and more."""
    quarter, less = (replace(DETECTION, box=Box(0, 0, width, 50)) for width in (40, 39))
    black = np.zeros((160, 160, 3), np.uint8)
    assert [measure(black, DETECTION, others).bystanders for others in ([], [less], [quarter, less])] == [0, 0, 1]


@pytest.mark.parametrize(
    ("poor", "error"),
    [
        (replace(GOOD, side=39.0), FaceSmall),
        (replace(GOOD, yaw=-0.5), FaceTurned),
        (replace(GOOD, pitch=0.2), FaceTurned),
        (replace(GOOD, roll_degrees=20.0), FaceTurned),
        (replace(GOOD, bystanders=1), MultipleFaces),
    ],
    ids=["small", "turned aside", "from below", "leaning", "two people"],
)
def test_strict_asks_for_more_than_standard(poor: Quality, error: type[FaceServiceError]) -> None:
    """Where a photo is taken on purpose."""
    assert failure_of(poor, checks_for("standard", "enroll")) is None
    assert type(failure_of(poor, checks_for("strict", "enroll"))) is error
    assert failure_of(poor, checks_for("strict", "identify")) is None


def test_recognition_refuses_only_what_matches_anybody() -> None:
    """An overexposed face is still told from others; off refuses nothing."""
    glaring, blurred = replace(GOOD, clipped_bright=0.5), replace(GOOD, sharpness=0.01)
    assert failure_of(glaring, checks_for("standard", "identify")) is None
    assert type(failure_of(glaring, checks_for("standard", "enroll"))) is FaceOverexposed
    assert type(failure_of(blurred, checks_for("standard", "identify"))) is FaceBlurred
    assert failure_of(blurred, checks_for("off", "enroll")) is None
    assert failure_of(blurred, checks_for("off", "identify")) is None


def test_poor_faces_are_left_out_while_there_is_a_good_one() -> None:
    """Where there is none, what is wrong with the first is told."""
    good, dark, blurred = (
        Face(DETECTION, np.zeros(512, np.float32), quality)
        for quality in (GOOD, replace(GOOD, brightness=5.0), replace(GOOD, sharpness=0.01))
    )
    assert require_quality([dark, good, blurred], IDENTIFY) == [good]
    with pytest.raises(FaceBlurred, match="out of focus; hold still or clean the lens"):
        require_quality([blurred, dark], IDENTIFY)
