"""Dark crops are lifted, all others stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from service.vision.brightening import DARK_BELOW, USUAL, brightened

CROP = np.random.default_rng(0).integers(0, 2 * int(DARK_BELOW), (160, 160, 3)).astype(np.uint8)


def test_a_dark_crop_gets_the_usual_light() -> None:
    """All its values alike, so that colours and contrasts stay in proportion."""
    dark = CROP // 3
    lifted = brightened(dark)
    assert lifted.mean() == pytest.approx(USUAL, abs=1)
    factor = USUAL / dark.mean()
    np.testing.assert_allclose(lifted, np.minimum(dark * factor, 255), atol=0.51)


def test_usual_crops_stay_as_they_are() -> None:
    """To the bit: the embeddings in galleries stay comparable."""
    usual = CROP + np.uint8(10)
    assert brightened(usual) is usual


def test_black_stays_black() -> None:
    """There is nothing to lift, and no division by zero."""
    assert not brightened(np.zeros((160, 160), np.uint8)).any()
