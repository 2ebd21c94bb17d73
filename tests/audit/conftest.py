"""An audit trail in a file of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.audit.trail_file import TrailFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trail" / "audit.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[TrailFile]:
    file = TrailFile(path)
    yield file
    file.close()
