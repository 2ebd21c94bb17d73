"""Photos enrolled by the real engine: what a gallery keeps of them, and the vectors it should get again."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from service.gallery.gallery import Gallery
from service.models.selection import ModelFiles
from service.stores.edge.store import EdgeStore
from service.timings import Timings
from service.values import Embedding, StoredFace
from service.vision.engine import Engine
from service.vision.images import to_base64, to_jpeg
from tests.gallery.test_gallery import RULES, START

LEAST = 0.93
"""Cosine of a photo's embedding and its picture's; of one of another model it is about 0."""


@pytest.fixture
async def known(
    engine: Engine, files: ModelFiles, tmp_path: Path, portraits: dict[str, bytes], photos: Path
) -> dict[int, tuple[StoredFace, Embedding]]:
    """Faces of portraits and of photos larger than the pictures, as registered, with this engine's embeddings."""
    store = EdgeStore(tmp_path / "known")
    await store.open()
    await store.bind(files.contract)
    gallery = Gallery(engine, store, RULES, clock=lambda: START)
    large = {name: (photos / name).read_bytes() for name in ("obama.jpg", "obama2.jpg", "biden.jpg")}
    for remark, photo in {**portraits, **large}.items():
        await gallery.enroll(photo, remark, Timings())
    found = {each.face_id: (each, vector) async for each, vector in store.scan_embedded()}
    await store.close()
    return found


def kept_picture(picture: Image.Image) -> str:
    return to_base64(to_jpeg(picture, 480))
