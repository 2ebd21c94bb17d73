"""Galleries of made-up faces, for what measures services and commands rather than searches."""

from __future__ import annotations

import numpy as np

from scripts.bench.edge import BATCH, stored_face
from scripts.bench.made_up import DIMENSION
from service.stores.store import Store
from service.values import ModelContract


async def fill(store: Store, contract: ModelContract, faces: int, picture: str) -> None:
    """Open a store for a model, give it faces of random embeddings, numbered from 1, and close it."""
    random = np.random.default_rng(0)
    await store.open()
    await store.bind(contract)
    for start in range(1, faces + 1, BATCH):
        numbers = range(start, min(start + BATCH, faces + 1))
        vectors = random.standard_normal((len(numbers), DIMENSION), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        await store.add_many([(stored_face(n, picture), each) for n, each in zip(numbers, vectors, strict=True)])
    await store.close()
