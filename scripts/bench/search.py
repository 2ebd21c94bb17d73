"""How long the gallery's search takes, on a real Qdrant Edge store in a temporary folder."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from service.gallery.identification import Identifier
from service.stores.edge.store import EdgeStore
from service.values import Box, Embedding, ModelContract, StoredFace

GALLERY = 3000
"""Faces in the gallery that is searched."""
_SEARCHES = 200
_LIMIT = 5  # nearest faces, as the device contract asks for
_PICTURE_BYTES = 4500
"""A face's kept picture, about 6 KB as base64: what a search must carry along."""


async def search_milliseconds() -> float:
    """The median time of one search in a gallery of GALLERY made-up faces, the answer's pictures included."""
    random = np.random.default_rng(0)
    contract = ModelContract(model="benchmark", digest="0" * 64, preprocessing=1, dimension=512)
    with tempfile.TemporaryDirectory() as folder:
        store = EdgeStore(Path(folder) / "gallery")
        await store.open()
        try:
            await store.bind(contract)
            for start in range(0, GALLERY, 100):
                faces = [_face(number, random) for number in range(start, start + 100)]
                await asyncio.gather(*(store.add(face, _unit(random)) for face in faces))
            identifier, times = Identifier(store, score="cohort"), []
            for _ in range(_SEARCHES):
                probe = _unit(random)
                started = time.perf_counter()
                await identifier.search(probe, _LIMIT, threshold_for=lambda _: -1.0)
                times.append((time.perf_counter() - started) * 1000)
        finally:
            await store.close()
    return float(np.median(times))


def _face(number: int, random: np.random.Generator) -> StoredFace:
    return StoredFace(
        face_id=number + 1,
        remark=f"person {number}",
        picture=base64.b64encode(random.bytes(_PICTURE_BYTES)).decode(),
        box=Box(0, 0, 100, 100),
        landmarks=((30, 40), (70, 40), (50, 60), (35, 80), (65, 80)),
        detection_score=0.99,
        sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        registered_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
    )


def _unit(random: np.random.Generator) -> Embedding:
    vector = random.normal(size=512).astype(np.float32)
    embedding: Embedding = vector / np.linalg.norm(vector)
    return embedding
