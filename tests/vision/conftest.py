"""What the tests of service/vision share."""

from __future__ import annotations

import pytest

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
