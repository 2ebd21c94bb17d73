"""What the tests of service/vision/gpu share: its arithmetic on torch's own processor device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.models.mtcnn_weights import mtcnn_state_dicts
from service.values import Rgb
from service.vision.gpu.cascade import Cascade
from service.vision.pyramid import CanvasLayout, lay_out, smallest_face

NAMES = ["obama.jpg", "obama2.jpg", "biden.jpg", "astronaut.png", "chelsea.png", "coffee.png"]


@pytest.fixture(scope="package")
def cascade() -> Cascade:
    return Cascade(mtcnn_state_dicts(), "cpu")


@pytest.fixture(scope="package")
def album_of_sizes(photos: Path) -> list[Rgb]:
    """Photos of NAMES in different sizes, two of them without a face, two of the same size."""
    made = []
    for i, name in enumerate(NAMES):
        picture = Image.open(photos / name).convert("RGB")
        picture.thumbnail((200 + 40 * i, 200 + 40 * i))
        made.append(np.asarray(picture))
    return [*made, made[1][:, ::-1].copy()]


def pyramid_of(photo: Rgb) -> tuple[CanvasLayout, ...]:
    """The pyramid that the service's default settings give a photo."""
    height, width = photo.shape[:2]
    return lay_out(height, width, smallest_face(height, width, min_face=40, share=0.04))
