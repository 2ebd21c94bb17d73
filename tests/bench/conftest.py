"""People whose faces are directions: everybody's photos lie near one axis, so that it is plain who is like whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scripts.bench.evaluation.observing import Observed
from scripts.bench.evaluation.sources import Portrait
from service.gallery.enrollment import Candidate
from service.values import Box, Detection, Embedding, Face
from tests.support.qualities import GOOD

See = Callable[[str, Embedding | None], Observed]


@pytest.fixture
def see() -> See:
    """What is observed in a photo of a name: a face with an embedding, or none."""

    def observed(name: str, embedding: Embedding | None) -> Observed:
        if embedding is None:
            return Observed(None, "face_not_found")
        detection = Detection(Box(0, 0, 100, 100), ((0.0, 0.0),) * 5, 0.99)
        return Observed(Candidate(sha256=f"{name:0>64}", picture="", faces=(Face(detection, embedding, GOOD),)))

    return observed


@pytest.fixture
def crowd(see: See) -> dict[Portrait, Observed]:
    """Twelve people of three photos each; the third photo of the first three shows no face."""
    draw = np.random.default_rng(0)
    axes = np.linalg.qr(draw.normal(size=(512, 512)))[0].astype(np.float32)
    crowd = {}
    for person in range(12):
        for photo in range(3):
            name = f"{person}-{photo}"
            vector = axes[person] + 0.02 * draw.normal(size=512).astype(np.float32)
            faceless = photo == 2 and person < 3
            embedding = None if faceless else vector / np.linalg.norm(vector)
            crowd[Portrait(Path(f"{name}.jpg"), str(person))] = see(name, embedding)
    return crowd
