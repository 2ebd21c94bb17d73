"""Brings every face of a gallery into one with another key, or none; the embeddings stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from indexer.moving.replica import Replica
from service.values import Embedding, StoredFace


class Rekeying(Replica):
    """Brings a new gallery to what the old one holds; what is encrypted is the business of the two stores."""

    async def embedded(self, faces: Sequence[StoredFace]) -> list[tuple[StoredFace, Embedding]]:
        """See Replica.embedded; those of the old gallery."""
        embeddings = await self.old.embeddings([each.face_id for each in faces], gallery=None)
        return [(each, embeddings[each.face_id]) for each in faces if each.face_id in embeddings]
