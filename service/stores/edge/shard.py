"""Every call into Qdrant Edge; used only inside the store's own process."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as qdrant

from service.errors import GalleryInUse, StoreUnavailable
from service.files import fsync_files, rename_durably
from service.stores.contracts import require
from service.stores.edge import filters
from service.stores.edge.folder import acquire, finish_replacement, read_contract, write_contract
from service.stores.gathering import Gathering
from service.stores.listing import Key, key_of
from service.stores.payload import (
    IDENTITY,
    KEYWORDS,
    REGISTERED_AT,
    outcome,
    to_face,
    to_payload,
    to_time,
)
from service.stores.store import MAX_COUNTED_REMARKS, Added, Figures
from service.values import Embedding, ModelContract, Nearest, StoredFace

log = logging.getLogger(__name__)

DISK_RESERVE_BYTES = 128 * 2**20
"""Edge writes through memory maps, where a full disk is not an error but a SIGBUS; so adding stops well before."""

FLUSH_EVERY = 1000
"""Writes between two flushes under steady load; Edge drops its log of writes only when it is flushed."""


class Shard:
    """The folder's owner: holds its lock from the constructor until `close`.

    `folder` gets `lock`, `contract.json` and `shard/`. Nothing here may be called from two threads.
    """

    def __init__(self, folder: Path, disk_reserve_bytes: int = DISK_RESERVE_BYTES) -> None:
        """Take the lock, and load what is there.

        Raises GalleryInUse, or StoreUnavailable for a folder that can't be read or is damaged.
        """
        self._folder = folder
        self._reserve = disk_reserve_bytes
        self._edge: qdrant.EdgeShard | None = None
        self._unsynced = True  # a killed predecessor may have left writes that only the page cache holds
        self._unflushed = 0
        finish_replacement(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = acquire(folder)
        self.contract = read_contract(folder)
        if self.contract is not None:
            self._load(self.contract)

    @property
    def has_unflushed(self) -> bool:
        """Whether there are writes that only the log of writes holds."""
        return self._unflushed > 0

    def bind(self, contract: ModelContract) -> None:
        """See Store.bind."""
        if self.contract is None:
            # The contract comes first: a shard without one would be vectors of nobody knows which model.
            write_contract(self._folder, contract)
            self._load(contract)
            self.contract = contract
        require(self.contract, contract, elsewhere="point FACE_DATA at a new folder")

    def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many; on disk once `sync` has returned."""
        records: list[Any] = self._open().retrieve(
            [face.face_id for face, _ in faces], list(IDENTITY), with_vector=False
        )
        owners = {record.id: record.payload for record in records}
        outcomes, points = [], []
        for face, embedding in faces:
            payload = to_payload(face)
            outcomes.append(outcome(payload, owners.get(face.face_id)))
            if outcomes[-1] is Added.NEW:
                owners[face.face_id] = payload  # the same face may come twice
                points.append(qdrant.Point(face.face_id, embedding.tolist(), payload))
        if points:
            self._check_disk()
            self._update(qdrant.UpdateOperation.upsert_points(points), len(points))
        return outcomes

    def search(self, embedding: Embedding, *, limit: int, people: int | None, remark: str | None = None) -> Nearest:
        """See Store.search; exact within a remark and until the shard is optimized, then through HNSW."""
        if limit < 1:
            return Nearest([], {}, 0)
        request = qdrant.QueryRequest(
            limit,
            query=qdrant.Query.Nearest(embedding.tolist()),
            with_payload=False,
            filter=filters.only(remark),
            params=None if remark is None else qdrant.SearchParams(exact=True),
        )
        hits: list[Any] = self._open().query(request)
        gathering = Gathering(hits, people)
        while ids := gathering.wanted():
            gathering.add(self.fetch(ids))
        return gathering.nearest()

    def keys_from(self, microseconds: int | None, *, limit: int, remark: str | None) -> list[Key]:
        """See listing.FaceReader."""
        order = filters.oldest_from(microseconds)
        request = qdrant.ScrollRequest(
            limit=limit, filter=filters.only(remark), with_payload=False, with_vector=False, order_by=order
        )
        records: list[Any] = self._open().scroll(request)[0]
        return [(record.order_value, record.id) for record in records]

    def keys_at(self, microseconds: int, *, first_id: int, limit: int, remark: str | None) -> list[Key]:
        """See listing.FaceReader."""
        ties = filters.only(remark, at=microseconds)
        request = qdrant.ScrollRequest(offset=first_id, limit=limit, filter=ties, with_payload=False, with_vector=False)
        records: list[Any] = self._open().scroll(request)[0]
        return [(microseconds, record.id) for record in records]

    def fetch(self, face_ids: Sequence[int]) -> dict[int, StoredFace]:
        """See listing.FaceReader."""
        records: list[Any] = self._open().retrieve([*face_ids], with_payload=True, with_vector=False)
        return {record.id: to_face(record.id, record.payload) for record in records}

    def embeddings(self, face_ids: Sequence[int]) -> dict[int, Embedding]:
        """See Store.embeddings."""
        records: list[Any] = self._open().retrieve([*face_ids], with_payload=False, with_vector=True)
        return {record.id: np.array(record.vector, np.float32) for record in records}

    def page_embedded(self, *, after: int, limit: int) -> list[tuple[StoredFace, Embedding]]:
        """The next `limit` faces past a face_id, by face_id, with their embeddings."""
        request = qdrant.ScrollRequest(offset=after + 1, limit=limit, with_payload=True, with_vector=True)
        records: list[Any] = self._open().scroll(request)[0]
        return [(to_face(each.id, each.payload), np.array(each.vector, np.float32)) for each in records]

    def page_keys(self, *, after: int, limit: int) -> list[Key]:
        """The keys of the next `limit` faces past a face_id, by face_id."""
        request = qdrant.ScrollRequest(offset=after + 1, limit=limit, with_payload=[REGISTERED_AT], with_vector=False)
        records: list[Any] = self._open().scroll(request)[0]
        return [key_of(each.id, to_time(each.payload)) for each in records]

    def remove(self, face_id: int) -> bool:
        """See Store.remove; on disk once `sync` has returned."""
        if not self._open().retrieve([face_id], with_payload=False, with_vector=False):
            return False
        self._update(qdrant.UpdateOperation.delete_points([face_id]), 1)
        return True

    def count(self) -> int:
        """See Store.count."""
        return self._open().count(qdrant.CountRequest(exact=True))

    def figures(self) -> Figures:
        """See Store.figures."""
        remarks = self._open().facet(qdrant.FacetRequest("remark", MAX_COUNTED_REMARKS, exact=True))
        indexed = self._open().info().indexed_vectors_count
        return Figures(faces=self.count(), remarks=len(remarks.hits), indexed=indexed)

    def optimize(self) -> None:
        """Build the index over what isn't indexed yet."""
        self._open().optimize()
        self.flush()

    def sync(self) -> None:
        """Bring every write so far to the disk.

        Edge leaves its log of writes in the page cache, which outlives a killed process but not a power cut.
        """
        if not self._unsynced:
            return
        fsync_files(self._folder / "shard" / "wal")
        self._unsynced = False
        if self._unflushed >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Bring the segments up to date on disk, so that the log of writes shrinks and the next start is quick."""
        self._open().flush()
        self._unflushed = 0

    def close(self) -> None:
        """Flush, and give the folder up."""
        if self._edge is not None:
            self._edge.flush()
            self._edge.close()
        os.close(self._lock)

    def _update(self, operation: qdrant.UpdateOperation, points: int) -> None:
        self._open().update(operation)
        self._unsynced = True
        self._unflushed += points

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._reserve:
            raise StoreUnavailable(
                f"The gallery's disk is full ({free >> 20} MB left, {self._reserve >> 20} MB are kept in reserve), so "
                "nothing was registered; free some space and repeat the request."
            )

    def _open(self) -> qdrant.EdgeShard:
        if self._edge is None:
            raise StoreUnavailable("The gallery has not been bound to a model yet.")
        return self._edge

    def _load(self, contract: ModelContract) -> None:
        """Load the shard, or make it where a service was killed before it could."""
        path = self._folder / "shard"
        if not path.exists():
            _create(path, contract.dimension)
        try:
            self._edge = qdrant.EdgeShard.load(str(path))
        except Exception as error:
            if "WouldBlock" in str(error):  # Edge's own lock, held by a program that knows nothing of ours
                raise GalleryInUse(f"The shard {path} is open in another program; stop that one.") from error
            log.exception("Qdrant Edge can't load %s", path)
            raise StoreUnavailable(
                f"The gallery in {self._folder} is damaged and can't be opened; restore the folder from a backup, or "
                "point FACE_DATA at a new one and register the faces again."
            ) from error


def _create(path: Path, dimension: int) -> None:
    """Make an empty shard under another name first, so that one that bears its name is complete."""
    draft = path.with_name("shard.new")
    shutil.rmtree(draft, ignore_errors=True)
    vectors = qdrant.EdgeVectorParams(size=dimension, distance=qdrant.Distance.Cosine)
    shard = qdrant.EdgeShard.create(str(draft), qdrant.EdgeConfig(vectors=vectors))
    for name in KEYWORDS:
        shard.update(qdrant.UpdateOperation.create_field_index(name, qdrant.PayloadSchemaType.Keyword))
    shard.update(qdrant.UpdateOperation.create_field_index(REGISTERED_AT, qdrant.PayloadSchemaType.Datetime))
    shard.flush()
    shard.close()
    rename_durably(draft, path)
