"""Photos made worse in known ways, as poor cameras, light and distance do: for the limits of a face's quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from service.values import Rgb

Damage = Callable[[Rgb, float], Rgb]
"""A photo and the height of its face in pixels to the damaged photo, of the same size."""

Floats = NDArray[np.float32]

SEED = 20261


def blur(share: float) -> Damage:
    """Out of focus: a Gaussian whose standard deviation is this share of the face's height."""
    return lambda photo, face: _pixels(cv2.GaussianBlur(photo, (0, 0), share * face))


def motion(share: float) -> Damage:
    """Moved while it was taken: the mean along a line of this share of the face's height, from left to right."""

    def move(photo: Rgb, face: float) -> Rgb:
        length = max(1, round(share * face))
        return _pixels(cv2.blur(photo, (length, 1)))

    return move


def light(times: float) -> Damage:
    """Darker, or lighter until it clips: every value so many times as large."""
    return lambda photo, _: _pixels(photo.astype(np.float32) * times)


def fog(contrast: float) -> Damage:
    """Against the light, or through a dirty lens: so much of the contrast is left, about a light grey of 160."""
    return lambda photo, _: _pixels((photo.astype(np.float32) - 160) * contrast + 160)


def noise(deviation: float) -> Damage:
    """A sensor's noise of this standard deviation, each pixel and colour by itself."""

    def add(photo: Rgb, _: float) -> Rgb:
        drawn = np.random.default_rng(SEED).normal(0, deviation, photo.shape)
        return _pixels(photo.astype(np.float32) + drawn.astype(np.float32))

    return add


def far(height: float) -> Damage:
    """From further away: the photo smaller, until its face is so many pixels high, in a black one of the old size."""

    def shrink(photo: Rgb, face: float) -> Rgb:
        scale = min(1.0, height / face)
        small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        around = np.zeros_like(photo)
        around[: small.shape[0], : small.shape[1]] = small
        return around

    return shrink


def lying(degrees: float) -> Damage:
    """A head or camera that leans by so many degrees; the corners stay black."""

    def turn(photo: Rgb, _: float) -> Rgb:
        height, width = photo.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
        return _pixels(cv2.warpAffine(photo, matrix, (width, height)))

    return turn


def both(first: Damage, second: Damage) -> Damage:
    """One after the other."""
    return lambda photo, face: second(first(photo, face), face)


DAMAGES: Mapping[str, Mapping[str, Damage]] = {
    "blurred": {
        "blur 2 %": blur(0.02),
        "blur 3 %": blur(0.03),
        "blur 4 %": blur(0.04),
        "blur 6 %": blur(0.06),
        "blur 9 %": blur(0.09),
        "motion 12 %": motion(0.12),
        "motion 25 %": motion(0.25),
        "blur 6 %, noise 6": both(blur(0.06), noise(6)),
    },
    "pale": {"contrast × 0.2": fog(0.2), "contrast × 0.15": fog(0.15)},
    "dark": {
        "light × 0.5": light(0.5),
        "light × 0.3": light(0.3),
        "light × 0.2": light(0.2),
        "light × 0.1": light(0.1),
        "light × 0.3, noise 4": both(light(0.3), noise(4)),
        "light × 0.2, noise 4": both(light(0.2), noise(4)),
        "light × 0.1, noise 4": both(light(0.1), noise(4)),
    },
    "overexposed": {"light × 2": light(2), "light × 3": light(3), "light × 4": light(4)},
    "noisy": {"noise 20": noise(20), "noise 40": noise(40), "noise 60": noise(60)},
    "small": {"60 px high": far(60), "40 px high": far(40), "30 px high": far(30)},
    "leaning": {"30° aside": lying(30), "45° aside": lying(45)},
}
"""By the family whose limits shall refuse them; the percentages are of the face's height."""


def _pixels(photo: object) -> Rgb:
    return np.clip(np.rint(np.asarray(photo, np.float32)), 0, 255).astype(np.uint8)
