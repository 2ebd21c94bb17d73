"""Networks over crops answer each crop alike, however the crops fall into batches."""

from __future__ import annotations

import numpy as np
import pytest

from service.models.selection import ModelFiles
from service.vision.networks import BatchNetwork
from service.vision.sharing import Sharing


@pytest.fixture(scope="module")
def rnet(files: ModelFiles) -> BatchNetwork:
    return BatchNetwork(files.rnet, Sharing(2), batches=(2, 4))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9])
def test_each_crop_has_its_answer_in_its_place(rnet: BatchNetwork, count: int) -> None:
    """Whether it fills a batch, a part of one, or several."""
    crops = np.random.default_rng(0).uniform(0, 255, (count, 24, 24, 3)).astype(np.float32)
    boxes, scores = rnet(crops, "boxes", "scores")
    assert boxes.shape == (count, 4)
    assert scores.shape == (count,)
    for i in range(count):
        [box], [score] = rnet(crops[i : i + 1], "boxes", "scores")
        np.testing.assert_allclose(boxes[i], box, atol=1e-4)
        assert scores[i] == pytest.approx(score, abs=1e-4)
