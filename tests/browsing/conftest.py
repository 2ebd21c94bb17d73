"""A gallery with a few faces, and the commands that look into it, as people run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.stores.store import Store
from tests.conftest import MODELS
from tests.support.processes import ROOT
from tests.support.stored_faces import embedding, face

REMARKS = {1: "Ann", 2: "张三/..", 3: "Ann", 4: "Zoë\x1b[2J"}
JPEG = "/9j/2Q=="
Command = Callable[..., "subprocess.CompletedProcess[str]"]


async def fill(store: Store) -> None:
    """Four faces in the default gallery, and one of a visitor."""
    await store.create_gallery("visitors", datetime(2026, 1, 1, tzinfo=UTC))
    faces = [face(number, remark=remark, picture=JPEG) for number, remark in REMARKS.items()]
    faces.append(face(5, remark="Bob", gallery="visitors", picture=JPEG, metadata={"badge": "安"}))
    await store.add_many([(each, embedding(each.face_id)) for each in faces])


@pytest.fixture
async def full(settings: Settings, files: ModelFiles) -> Path:
    """FACE_DATA with those faces."""
    store = EdgeStore(settings.data / "gallery")
    await store.open()
    await store.bind(files.contract)
    await fill(store)
    await store.close()
    return settings.data


@pytest.fixture
def command(settings: Settings) -> Command:
    """`face-indexer …` as a process, with nobody at a terminal."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FACE_")}
        environ |= {"FACE_DATA": str(settings.data), "FACE_MODEL_DIR": str(MODELS)}
        line = [sys.executable, "-m", "indexer", *words]
        return subprocess.run(
            line, check=False, cwd=ROOT, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    return run
