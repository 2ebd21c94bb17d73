"""The embedded store: Qdrant Edge in a folder of this machine, owned by a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from service.stores import listing
from service.stores.edge import requests
from service.stores.edge.link import EdgeLink
from service.stores.listing import Key
from service.stores.store import Added, Figures
from service.values import Embedding, ModelContract, Nearest, StoredFace

REQUEST_LIMIT_S = 30.0
"""After this long without an answer a request fails."""

OPTIMIZE_LIMIT_S = 24 * 3600.0
"""Building the index took 105 s for 100,000 faces on two cores, and grows a little faster than their number."""


class EdgeStore:
    """See service.stores.store.Store; the answers come from `service.stores.edge.process`."""

    def __init__(self, folder: Path, *, request_limit_s: float = REQUEST_LIMIT_S) -> None:
        self._link = EdgeLink(folder, request_limit_s=request_limit_s)

    async def open(self) -> ModelContract | None:
        """See Store.open; also raises StoreUnavailable for a folder that can't be used or is damaged."""
        return await self._link.open()

    async def bind(self, contract: ModelContract) -> None:
        """See Store.bind."""
        await self._link.bind(contract)

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """See Store.add; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return (await self.add_many([(face, embedding)]))[0]

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many; all of them wait for the disk once. Raises ValueError like `add`, and adds none then."""
        exact = [(face, np.asarray(embedding, np.float32)) for face, embedding in faces]
        return await self._link.call(requests.AddMany(exact))

    async def search(
        self, embedding: Embedding, limit: int, *, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """See Store.search."""
        exact = np.asarray(embedding, np.float32)
        return await self._link.call(requests.Search(embedding=exact, limit=limit, people=people, remark=remark))

    def scan(
        self, offset: int = 0, limit: int | None = None, *, after: Key | None = None, remark: str | None = None
    ) -> AsyncIterator[StoredFace]:
        """See Store.scan; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        return listing.scan(self._reader(remark), offset, limit, after)

    async def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """See Store.scan_embedded; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        while page := await self._link.call(requests.PageEmbedded(after=after, limit=listing.FACES_AT_ONCE)):
            for each in page:
                yield each
            after = page[-1][0].face_id

    async def scan_keys(self, after: int = 0) -> AsyncIterator[Key]:
        """See Store.scan_keys; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        while page := await self._link.call(requests.PageKeys(after=after, limit=listing.KEYS_AT_ONCE)):
            for each in page:
                yield each
            after = page[-1][1]

    async def fetch(self, face_ids: Sequence[int]) -> Mapping[int, StoredFace]:
        """See Store.fetch."""
        return await self._link.call(requests.Fetch([*face_ids]))

    async def embeddings(self, face_ids: Sequence[int]) -> Mapping[int, Embedding]:
        """See Store.embeddings."""
        return await self._link.call(requests.FetchEmbeddings([*face_ids]))

    async def remove(self, face_id: int) -> bool:
        """See Store.remove."""
        return await self._link.call(requests.Remove(face_id))

    async def count(self) -> int:
        """See Store.count."""
        return await self._link.call(requests.Count())

    async def figures(self) -> Figures:
        """See Store.figures."""
        return await self._link.call(requests.ReadFigures())

    async def optimize(self) -> None:
        """See Store.optimize; no other call is answered meanwhile."""
        await self._link.call(requests.Optimize(), limit_s=OPTIMIZE_LIMIT_S)

    async def close(self) -> None:
        """See Store.close."""
        await self._link.close()

    def _reader(self, remark: str | None) -> listing.FaceReader:
        async def keys_from(microseconds: int | None, limit: int) -> list[Key]:
            return await self._link.call(requests.KeysFrom(microseconds=microseconds, limit=limit, remark=remark))

        async def keys_at(microseconds: int, first_id: int, limit: int) -> list[Key]:
            request = requests.KeysAt(microseconds=microseconds, first_id=first_id, limit=limit, remark=remark)
            return await self._link.call(request)

        return listing.FaceReader(keys_from=keys_from, keys_at=keys_at, fetch=self.fetch)
