"""Lifts dark faces to usual light before they are embedded, for FaceNet was trained on faces in usual light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

DARK_BELOW = 40.0
"""Mean of 0 to 255 below which a crop is lifted; of 4,991 sound faces of LFW's development photos one lies below."""

USUAL = 120.0
"""The mean that it is lifted to: about the median of LFW's."""


def brightened(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The crop, grey or in colour, as it is; a dark one with all values multiplied alike until their mean is USUAL.

    Of LFW's faces at a fifth of their light casia-webface so finds 77 % at cosine 0.6, not 53 %, and no more strangers;
    a gamma curve finds 63 %, CLAHE before it 64 %.
    """
    mean = float(pixels.mean())
    if mean >= DARK_BELOW:
        return pixels
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=USUAL / max(mean, 1.0)), np.uint8)
