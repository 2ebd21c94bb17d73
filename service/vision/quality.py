"""How good a face in a photo is, in numbers, and which of them are too poor to register it or to know it again.

Smears resemble each other, whoever they show, and so do faces in the dark: once one is registered, it opens for all.
The limits were measured on LFW's development photos and the same photos made worse, so that of those that are let
through different people are hardly more often alike than in sound photos, and hardly a sound one is refused:
`python -m scripts.bench.quality_limits`, docs/accuracy.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
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
from service.settings import QualityLevel
from service.values import CROP_SIDE, Detection, Face, Landmarks, Quality, Rgb
from service.vision.brightening import brightened

MIN_BRIGHTNESS = 18.0
MIN_CONTRAST = 12.0
MAX_NOISE = 7.0
MIN_SHARPNESS = 0.05
MAX_CLIPPED_BRIGHT = 0.2
MIN_SIDE = 40.0
MAX_YAW, MAX_ROLL_DEGREES = 0.4, 15.0
MIN_PITCH, MAX_PITCH = 0.25, 0.85
BYSTANDER_SHARE = 0.25
"""Of a face's area: smaller others are in the background, or no faces at all."""

SHARPNESS_SIDE, NOISE_SIDE = 32, 80
"""Pixels to which the crop is reduced to measure the two. Finer detail tells a small face, which fills the crop only
when it is blown up, from a large one, and takes noise for sharpness; noise is seen where the crop isn't blown up."""

BLACK, WHITE = 2, 253
"""From black to this, and from this to white, a grey value counts as clipped; JPEG moves 0 and 255 by a step or two."""

_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Blind to what edges and gradients are made of: Immerkær, "Fast Noise Variance Estimation", 1996."""

Grey = NDArray[np.uint8]
"""Shape (height, width), 0 to 255."""

Purpose = Literal["enroll", "identify"]

Check = Callable[[Quality], FaceServiceError | None]
"""What is wrong with a face, in a sentence that says what to do; None where nothing is."""


def dark(quality: Quality) -> FaceDark | None:
    """Too little light."""
    if quality.brightness >= MIN_BRIGHTNESS:
        return None
    return FaceDark("The face is too dark; turn on a light, or turn the face towards it.")


def pale(quality: Quality) -> FacePale | None:
    """Behind fog, steam or dirt, or against the light."""
    if quality.contrast >= MIN_CONTRAST:
        return None
    return FacePale("The face has hardly any contrast; clean the lens, or take the light from behind the face.")


def noisy(quality: Quality) -> FaceNoisy | None:
    """A sensor that amplifies the little light there is."""
    if quality.noise <= MAX_NOISE:
        return None
    return FaceNoisy("The picture of the face is too noisy; give the camera more light.")


def blurred(quality: Quality) -> FaceBlurred | None:
    """Out of focus, or moved."""
    if quality.sharpness >= MIN_SHARPNESS:
        return None
    return FaceBlurred("The face is out of focus; hold still or clean the lens.")


def overexposed(quality: Quality) -> FaceOverexposed | None:
    """So much light that parts of the face are white."""
    if quality.clipped_bright <= MAX_CLIPPED_BRIGHT:
        return None
    return FaceOverexposed("The face is overexposed; take it out of the glaring light.")


def small(quality: Quality) -> FaceSmall | None:
    """Far away."""
    if quality.side >= MIN_SIDE:
        return None
    return FaceSmall(f"The face is {quality.side:.0f} of at least {MIN_SIDE:.0f} pixels wide; come closer.")


def turned(quality: Quality) -> FaceTurned | None:
    """From the side, from above or below, or leaning."""
    straight = abs(quality.yaw) <= MAX_YAW and MIN_PITCH <= quality.pitch <= MAX_PITCH
    if straight and abs(quality.roll_degrees) <= MAX_ROLL_DEGREES:
        return None
    return FaceTurned("The face is turned away; hold the head upright and look straight into the camera.")


def accompanied(quality: Quality) -> MultipleFaces | None:
    """Somebody else could be meant."""
    if not quality.bystanders:
        return None
    return MultipleFaces(f"The image shows {quality.bystanders + 1} faces; send one with a single face.")


IDENTIFY: Sequence[Check] = (dark, pale, noisy, blurred)
"""Asked of every face: those that fail match anybody who fails likewise."""

ENROLL: Sequence[Check] = (*IDENTIFY, overexposed)
"""Asked of a face that will be remembered."""

ENROLL_STRICT: Sequence[Check] = (*ENROLL, small, turned, accompanied)
"""Asked of photos that are taken on purpose, where another one is a moment away."""


def checks_for(level: QualityLevel, purpose: Purpose) -> Sequence[Check]:
    """What FACE_QUALITY asks of a face that is to be enrolled or identified."""
    if level == "off":
        return ()
    if purpose == "identify":
        return IDENTIFY
    return ENROLL_STRICT if level == "strict" else ENROLL


def require_quality(faces: Sequence[Face], checks: Sequence[Check]) -> list[Face]:
    """Those of at least one face that pass all checks. Where none does, raises what is wrong with the first."""
    failures = [failure_of(face.quality, checks) for face in faces]
    good = [face for face, failure in zip(faces, failures, strict=True) if failure is None]
    if not good and failures[0] is not None:
        raise failures[0]
    return good


def failure_of(quality: Quality, checks: Sequence[Check]) -> FaceServiceError | None:
    """What the first check says that is not passed; None where all are."""
    return next((failure for check in checks if (failure := check(quality))), None)


def brightness(photo: Image.Image) -> float:
    """The mean grey value of a whole photo, 0 to 255, from a sample of its pixels."""
    sample = photo.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.NEAREST)
    return float(np.asarray(sample.convert("L")).mean())


def measure(crop: Rgb, detection: Detection, others: Sequence[Detection]) -> Quality:
    """The quality of a face: its crop (160, 160, 3), its place in the full photo, and the others who are not wanted."""
    grey: Grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)  # (160, 160)
    lifted = brightened(grey)  # as it is embedded
    contrast = float(cv2.meanStdDev(lifted)[1][0, 0])
    yaw, pitch, roll_degrees = turn_of_head(detection.landmarks)
    return Quality(
        sharpness=_sharpness(lifted, contrast),
        noise=_noise(lifted),
        brightness=float(grey.mean()),
        contrast=contrast,
        clipped_dark=np.count_nonzero(grey <= BLACK) / grey.size,
        clipped_bright=np.count_nonzero(grey >= WHITE) / grey.size,
        side=min(detection.box.width, detection.box.height),
        yaw=yaw,
        pitch=pitch,
        roll_degrees=roll_degrees,
        detection_score=detection.score,
        bystanders=sum(each.box.area >= BYSTANDER_SHARE * detection.box.area for each in others),
    )


def _sharpness(grey: Grey, contrast: float) -> float:
    """See Quality; the Laplacian in its two parts, for a movement leaves the one across it."""
    if not contrast:
        return 0.0
    reduced = cv2.resize(grey, (SHARPNESS_SIDE, SHARPNESS_SIDE), interpolation=cv2.INTER_AREA)
    across = cv2.Sobel(reduced, cv2.CV_32F, 2, 0, ksize=1)[:, 1:-1]
    down = cv2.Sobel(reduced, cv2.CV_32F, 0, 2, ksize=1)[1:-1]
    deviation = min(float(cv2.meanStdDev(each)[1][0, 0]) for each in (across, down))
    return (deviation / contrast) ** 2


def _noise(grey: Grey) -> float:
    """See Quality."""
    reduced = cv2.resize(grey, (NOISE_SIDE, NOISE_SIDE), interpolation=cv2.INTER_AREA)
    answers = cv2.filter2D(reduced, cv2.CV_32F, _NOISE_MASK)[1:-1, 1:-1]
    return cv2.norm(answers, cv2.NORM_L1) / answers.size * math.sqrt(math.pi / 2) / 6


def turn_of_head(landmarks: Landmarks) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees, as Quality has them, from where the nose is among eyes and mouth."""
    (left_x, left_y), (right_x, right_y), nose, *corners = landmarks
    across = complex(right_x - left_x, right_y - left_y)  # along the eyes, as long as they are apart
    if not across:
        return 0.0, 0.0, 0.0
    eyes = complex(left_x + right_x, left_y + right_y) / 2
    mouth = complex(sum(x for x, _ in corners), sum(y for _, y in corners)) / 2
    # In a frame whose unit is the distance of the eyes, and where they lie level.
    to_nose, to_mouth = (complex(*nose) - eyes) / across, (mouth - eyes) / across
    yaw = to_nose.real - to_mouth.real / 2
    pitch = to_nose.imag / to_mouth.imag if to_mouth.imag else 0.0
    return yaw, pitch, math.degrees(math.atan2(across.imag, across.real))
