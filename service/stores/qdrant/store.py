"""The shared store: a collection on a Qdrant server or cluster, for any number of services."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from qdrant_client import AsyncQdrantClient, models

from service.errors import StoreUnavailable
from service.stores import listing
from service.stores.contracts import require
from service.stores.gathering import Gathering
from service.stores.listing import Key, key_of
from service.stores.payload import (
    IDENTITY,
    REGISTERED_AT,
    outcome,
    to_face,
    to_payload,
    to_time,
)
from service.stores.qdrant import collection, filters
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.link import BULK_LIMIT_S, REQUEST_LIMIT_S, Connect, QdrantLink
from service.stores.qdrant.points import ADDITION, chunks, to_floats, to_point
from service.stores.store import MAX_COUNTED_REMARKS, Added, Figures
from service.values import Embedding, ModelContract, Nearest, StoredFace

OLDEST = (1, 19)
"""The first version with `memory`; before 1.17 an insertion would even overwrite."""

# One replica is asked first and the others follow it, so that they agree on who came first.
ORDERING = models.WriteOrdering.MEDIUM


class QdrantStore:
    """See service.stores.store.Store.

    Every request can be repeated, which QdrantLink does: reading changes nothing, adding leaves alone what is there
    and knows its own additions, and removing is done once it is done. The alias is looked up when the gallery is
    opened; from then on its collection is asked by its real name, so that a service keeps to the vectors of its own
    model while another is being put in place. What it writes after that would be lost: so each write looks, when it is
    done, whether the alias still stands for its collection, and fails where it doesn't.
    """

    def __init__(
        self,
        connect: Connect,
        name: str,
        *,
        collection_settings: CollectionSettings | None = None,
        request_limit_s: float = REQUEST_LIMIT_S,
    ) -> None:
        """`name` is an alias, or the name of a collection; `collection_settings` are those of a new one."""
        self._link = QdrantLink(connect, request_limit_s=request_limit_s)
        self._name = name
        self._collection_settings = collection_settings or CollectionSettings()
        self._real: str | None = None

    async def open(self) -> ModelContract | None:
        """See Store.open; also raises StoreUnavailable for a server that is too old."""
        self._link.open()
        version = (await self._link.call(lambda client: client.info())).version
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
            raise StoreUnavailable(f"Qdrant {version} is too old; {'.'.join(map(str, OLDEST))} or later is needed.")
        found = await collection.find(self._link, self._name)
        return found.contract if found else None

    async def bind(self, contract: ModelContract) -> None:
        """See Store.bind; a collection of that name without faces and contract is taken as it is."""
        if await collection.find(self._link, self._name) is None:
            await collection.create(self._link, self._name, contract, self._collection_settings)
        found = await collection.find(self._link, self._name)
        if found is None:
            raise StoreUnavailable("The collection was deleted while it was being opened; start again.")
        if found.contract is None:
            await collection.write_contract(self._link, found, contract)
        else:
            require(found.contract, contract, elsewhere="name another gallery with FACE_QDRANT_COLLECTION")
        await collection.add_indexes(self._link, found.name, found.info.payload_schema)
        self._real = found.name

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """See Store.add; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return (await self._add([(face, embedding)], limit_s=None))[0]

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many; raises ValueError like `add`, and adds none then."""
        return await self._add(faces, limit_s=BULK_LIMIT_S)

    async def search(
        self, embedding: Embedding, limit: int, *, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """See Store.search; exact within a remark."""
        if limit < 1:
            return Nearest([], {}, 0)
        response = await self._link.call(
            lambda client: client.query_points(
                self._collection,
                query=to_floats(embedding),
                query_filter=filters.only(remark),
                limit=limit,
                search_params=collection.SEARCH if remark is None else collection.EXACT_SEARCH,
                with_payload=False,
            )
        )
        gathering = Gathering(response.points, people)
        while ids := gathering.wanted():
            gathering.add(await self.fetch(ids))
        return gathering.nearest()

    def scan(
        self, offset: int = 0, limit: int | None = None, *, after: Key | None = None, remark: str | None = None
    ) -> AsyncIterator[StoredFace]:
        """See Store.scan; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        reader = listing.FaceReader(
            keys_from=partial(self._keys_from, remark), keys_at=partial(self._keys_at, remark), fetch=self.fetch
        )
        return listing.scan(reader, offset, limit, after)

    async def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """See Store.scan_embedded; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        while records := await self._scroll(
            BULK_LIMIT_S, offset=after + 1, limit=listing.FACES_AT_ONCE, with_payload=True, with_vectors=True
        ):
            for record in records:
                yield to_face(record.id, record.payload), np.array(record.vector, np.float32)
            after = records[-1].id

    async def scan_keys(self, after: int = 0) -> AsyncIterator[Key]:
        """See Store.scan_keys; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        while records := await self._scroll(
            BULK_LIMIT_S, offset=after + 1, limit=listing.KEYS_AT_ONCE, with_payload=[REGISTERED_AT]
        ):
            for record in records:
                yield key_of(record.id, to_time(record.payload))
            after = records[-1].id

    async def fetch(self, face_ids: Sequence[int]) -> Mapping[int, StoredFace]:
        """See Store.fetch."""
        return {each.id: to_face(each.id, each.payload) for each in await self._read(face_ids, with_payload=True)}

    async def embeddings(self, face_ids: Sequence[int]) -> Mapping[int, Embedding]:
        """See Store.embeddings."""
        records = await self._read(face_ids, with_payload=False, with_vectors=True)
        return {each.id: np.array(each.vector, np.float32) for each in records}

    async def remove(self, face_id: int) -> bool:
        """See Store.remove; of two calls at the same moment both may return True."""
        async with self._link.within(None):
            if not await self._read([face_id], with_payload=False):
                return False
            selector = models.PointIdsList(points=[face_id])
            await self._link.call(lambda client: client.delete(self._collection, selector, ordering=ORDERING))
            await collection.require_writable(self._link, name=self._name, real=self._collection)
            return True

    async def count(self) -> int:
        """See Store.count."""
        return (await self._link.call(lambda client: client.count(self._collection, exact=True))).count

    async def figures(self) -> Figures:
        """See Store.figures."""
        remarks = await self._link.call(
            lambda client: client.facet(self._collection, "remark", limit=MAX_COUNTED_REMARKS, exact=True), BULK_LIMIT_S
        )
        about = await self._link.call(lambda client: client.get_collection(self._collection))
        indexed = about.indexed_vectors_count or 0
        return Figures(faces=await self.count(), remarks=len(remarks.hits), indexed=indexed)

    async def optimize(self) -> None:
        """See Store.optimize; Qdrant does it by itself, in the background."""

    async def close(self) -> None:
        """See Store.close."""
        await self._link.close()

    @property
    def _collection(self) -> str:
        if self._real is None:
            raise StoreUnavailable("The gallery has not been bound to a model yet.")
        return self._real

    async def _add(self, faces: Sequence[tuple[StoredFace, Embedding]], limit_s: float | None) -> list[Added]:
        """Insert what isn't there, then read whose each face_id is.

        An insertion is atomic for each face, unlike looking first and writing then; on disk once it has returned.
        """
        addition = uuid.uuid4().hex
        points: dict[int, models.PointStruct] = {}
        for face, embedding in faces:
            points.setdefault(face.face_id, to_point(face, embedding, addition))  # the same face may come twice
        fields = [*IDENTITY, ADDITION]
        async with self._link.within(limit_s):
            # Of many faces those that are there are left out: an import that is taken up again need not send them.
            there = (
                {each.id for each in await self._read([*points], with_payload=False, limit_s=limit_s)}
                if len(points) > 1
                else set()
            )
            for chunk in chunks(point for face_id, point in points.items() if face_id not in there):
                await self._link.call(partial(self._insert, chunk), limit_s)
            present = await self._read([*points], with_payload=fields, limit_s=limit_s)
            await collection.require_writable(self._link, name=self._name, real=self._collection, limit_s=limit_s)
        # A face that isn't there was removed since, or a replica that lags behind was asked: it was added.
        owners: dict[int, Any] = {face_id: point.payload for face_id, point in points.items()}
        owners |= {record.id: record.payload for record in present}
        ours = {face_id for face_id, owner in owners.items() if owner[ADDITION] == addition}
        outcomes = []
        for face, _ in faces:
            new = face.face_id in ours
            ours.discard(face.face_id)  # the second time it is known
            outcomes.append(outcome(to_payload(face), None if new else owners[face.face_id]))
        return outcomes

    async def _insert(self, points: list[models.PointStruct], client: AsyncQdrantClient) -> None:
        mode = models.UpdateMode.INSERT_ONLY
        await client.upsert(self._collection, points, wait=True, ordering=ORDERING, update_mode=mode)

    async def _keys_from(self, remark: str | None, microseconds: int | None, limit: int) -> list[Key]:
        records = await self._scroll(
            scroll_filter=filters.only(remark), limit=limit, order_by=filters.oldest_from(microseconds)
        )
        return [(each.order_value, each.id) for each in records]

    async def _keys_at(self, remark: str | None, microseconds: int, first_id: int, limit: int) -> list[Key]:
        ties = filters.only(remark, at=microseconds)
        return [
            (microseconds, each.id) for each in await self._scroll(scroll_filter=ties, offset=first_id, limit=limit)
        ]

    async def _scroll(
        self, limit_s: float | None = None, *, with_payload: bool | list[str] = False, **what: Any
    ) -> list[Any]:
        """Records; `Any` because the client's types allow ids and payloads that this store never writes."""
        request = {"with_payload": with_payload, **what}
        return (await self._link.call(lambda client: client.scroll(self._collection, **request), limit_s))[0]

    async def _read(self, face_ids: Sequence[int], limit_s: float | None = None, **what: Any) -> list[Any]:
        if not face_ids:
            return []
        return await self._link.call(lambda client: client.retrieve(self._collection, [*face_ids], **what), limit_s)
