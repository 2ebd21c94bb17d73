"""Faces, embeddings and a model contract for galleries of tests, all made up but for their shapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from service.stores.store import Added, Store
from service.values import Box, Embedding, ModelContract, StoredFace

CONTRACT = ModelContract(model="vggface2", digest="0123456789abcdef" * 4, preprocessing=1, dimension=512)
START = datetime(2026, 1, 1, tzinfo=UTC)
"""No face is registered before."""


def face(number: int, **changes: object) -> StoredFace:
    """A face whose every field tells its number; one is registered each microsecond."""
    made = StoredFace(
        face_id=number,
        remark=f"person {number}",
        picture=f"picture{number}",
        box=Box(-1.5, 2.25, 100.1, 200.7),
        landmarks=((1.5, 2.0), (3.0, 4.0), (5.25, 6.0), (7.0, 8.0), (9.0, 10.125)),
        detection_score=0.9987654321,
        sha256=f"{number:064x}",
        registered_at=START + timedelta(microseconds=number),
        device_id=f"gate-{number % 3}" if number % 2 else None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def embedding(number: int) -> Embedding:
    """A unit vector, shape (512,), the same for the same number."""
    vector = np.random.default_rng(number).normal(size=512)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


async def fill(store: Store, faces: list[StoredFace]) -> None:
    assert await asyncio.gather(*(store.add(each, embedding(each.face_id)) for each in faces)) == [Added.NEW] * len(
        faces
    )


async def numbers(faces: AsyncIterator[StoredFace]) -> list[int]:
    return [each.face_id async for each in faces]
