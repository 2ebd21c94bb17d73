"""Brings every face of a gallery into one of another model, also those that come or go meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from indexer.moving.replica import Replica
from indexer.moving.stored_pictures import embed_again
from service.errors import FaceNotFound, InvalidImage
from service.stores.store import Store
from service.values import Embedding, StoredFace
from service.vision.engine import Engine


class Reembedding(Replica):
    """Brings a new gallery to what the old one holds, with another engine's embeddings."""

    def __init__(self, engine: Engine, *, old: Store, new: Store, picture_side: int) -> None:
        super().__init__(old=old, new=new)
        self._engine = engine
        self._picture_side = picture_side

    async def embedded(self, faces: Sequence[StoredFace]) -> list[tuple[StoredFace, Embedding]]:
        """See Replica.embedded; computed from the pictures."""
        embeddings = await asyncio.gather(*(self._embed(face) for face in faces))
        return [(face, each) for face, each in zip(faces, embeddings, strict=True) if each is not None]

    async def _embed(self, face: StoredFace) -> Embedding | None:
        try:
            return await embed_again(self._engine, face, self._picture_side)
        except (FaceNotFound, InvalidImage) as error:
            self.failed[face.face_id] = str(error)
            return None
