"""An embedded gallery in a folder of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.stores.edge.store import EdgeStore
from tests.support.stored_faces import CONTRACT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


@pytest.fixture
async def edge(folder: Path) -> AsyncIterator[EdgeStore]:
    """An embedded store, opened and bound."""
    made = EdgeStore(folder)
    await made.open()
    await made.bind(CONTRACT)
    yield made
    await made.close()
