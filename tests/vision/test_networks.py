"""Networks over crops answer each crop alike, however the crops fall into batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from service.models.selection import ModelFiles
from service.vision.networks import BatchNetwork
from service.vision.sharing import Sharing


@pytest.fixture(scope="module")
def sharing() -> Sharing:
    return Sharing(2)


@pytest.fixture(scope="module")
def rnet(files: ModelFiles, sharing: Sharing) -> BatchNetwork:
    return BatchNetwork(files.rnet, sharing, batches=(2, 4))


@pytest.mark.parametrize("photos", [0, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9, 17])
def test_each_crop_has_its_answer_in_its_place(rnet: BatchNetwork, sharing: Sharing, count: int, photos: int) -> None:
    """Whether it fills a batch, a part of one, or several, alone on all threads or beside other photos."""
    crops = np.random.default_rng(0).uniform(0, 255, (count, 24, 24, 3)).astype(np.float32)
    with ExitStack() as there:
        for _ in range(photos):
            there.enter_context(sharing.photo())
        assert sharing.is_shared == (photos > 0)
        boxes, scores = rnet(crops, "boxes", "scores")
    assert boxes.shape == (count, 4)
    assert scores.shape == (count,)
    for i in range(count):
        [box], [score] = rnet(crops[i : i + 1], "boxes", "scores")
        np.testing.assert_allclose(boxes[i], box, atol=1e-4)
        assert scores[i] == pytest.approx(score, abs=1e-4)


def test_photos_at_once_share_what_is_compiled(rnet: BatchNetwork) -> None:
    """Each has its own answer, however many wait for the few inferences that may run at once."""
    crops = np.random.default_rng(1).uniform(0, 255, (9, 24, 24, 3)).astype(np.float32)
    [expected] = rnet(crops, "scores")
    with ThreadPoolExecutor(6) as photos:
        for [scores] in photos.map(lambda _: rnet(crops, "scores"), range(60)):
            np.testing.assert_allclose(scores, expected, atol=1e-4)
