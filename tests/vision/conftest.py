"""What the tests of service/vision share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.models.selection import ModelFiles
from service.settings import Settings
from service.vision.detector import Detector
from service.vision.embedder import OpenVinoEmbedder


@pytest.fixture(scope="package")
def by_default(files: ModelFiles) -> Detector:
    """Searches for faces as a service with default settings does."""
    return Detector(files, threads=2, min_face=Settings().min_face, min_share=Settings().min_share)


@pytest.fixture(scope="package")
def exact(files: ModelFiles) -> OpenVinoEmbedder:
    """Computes in float32."""
    return OpenVinoEmbedder(files.facenet, threads=2, precision="f32")


@pytest.fixture(scope="package")
def portrait(photos: Path) -> Image.Image:
    """A real photo without symmetry, 120×90, without metadata."""
    part = Image.open(photos / "astronaut.png").convert("RGB").crop((100, 0, 420, 240)).resize((120, 90))
    return Image.fromarray(np.asarray(part))


@pytest.fixture(scope="package")
def pixels(portrait: Image.Image) -> NDArray[np.uint8]:
    """The portrait's, (90, 120, 3)."""
    return np.asarray(portrait)


@pytest.fixture(scope="package")
def grey(portrait: Image.Image) -> NDArray[np.uint8]:
    """The portrait's luminance, (90, 120)."""
    return np.asarray(portrait.convert("L"))
