"""The faces of the embedded store's shard: added, searched, listed, changed, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import qdrant_edge as qdrant

from service.stores.edge import filters
from service.stores.edge.breadth import search_breadth
from service.stores.edge.durable_shard import DurableShard
from service.stores.edge.inspection import wrong_with
from service.stores.gathering import Gathering
from service.stores.listing import Key, Stamp
from service.stores.payload import (
    GALLERY,
    IDENTITY,
    STAMPED,
    outcome,
    to_changes,
    to_face,
    to_payload,
    to_stamp,
)
from service.stores.people import PERSON, PeopleCount
from service.stores.store import Added, Figures
from service.values import Embedding, FaceChanges, Nearest, StoredFace

if TYPE_CHECKING:  # galleries in clear do without its package
    from service.stores.encryption.cipher import GalleryCipher

REMOVED_AT_ONCE = 10_000


class Faces:
    """See service.stores.store.Store; what is written is on disk once the shard's `sync` has returned."""

    def __init__(self, shard: DurableShard) -> None:
        self._shard = shard

    def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many."""
        records: list[Any] = self._shard.edge.retrieve(
            [face.face_id for face, _ in faces], list(IDENTITY), with_vector=False
        )
        owners = {record.id: record.payload for record in records}
        outcomes, points, new = [], [], list[int]()
        for face, embedding in faces:
            payload = to_payload(face)
            outcomes.append(outcome(payload, owners.get(face.face_id)))
            if outcomes[-1] is Added.NEW:
                owners[face.face_id] = payload  # the same face may come twice
                new.append(face.face_id)
                points.append(qdrant.Point(face.face_id, embedding.tolist(), payload))
        if points:
            self._shard.require_room()
            self._shard.update(qdrant.UpdateOperation.upsert_points(points), touched=new, adds=True)
        return outcomes

    def search(
        self, embedding: Embedding, *, gallery: str, limit: int, people: int | None, remark: str | None = None
    ) -> Nearest:
        """See Store.search; exact within a remark and until the shard is optimized, then through HNSW."""
        if limit < 1:
            return Nearest([], {}, 0)
        request = qdrant.QueryRequest(
            limit,
            query=qdrant.Query.Nearest(embedding.tolist()),
            with_payload=False,
            filter=filters.only(gallery, remark=remark),
            params=qdrant.SearchParams(hnsw_ef=self._breadth(gallery), exact=remark is not None),
        )
        hits: list[Any] = self._shard.edge.query(request)
        gathering = Gathering(hits, people)
        while ids := gathering.wanted():
            gathering.add(self.fetch(ids, gallery=gallery))
        return gathering.nearest()

    def _breadth(self, gallery: str) -> int:
        """Of a search in a gallery; counting its faces about takes microseconds."""
        return search_breadth(self._shard.edge.count(qdrant.CountRequest(exact=False, filter=filters.only(gallery))))

    def keys_from(self, microseconds: int | None, *, gallery: str, limit: int, remark: str | None) -> list[Key]:
        """See listing.FaceReader."""
        request = qdrant.ScrollRequest(
            limit=limit,
            filter=filters.only(gallery, remark=remark),
            with_payload=False,
            with_vector=False,
            order_by=filters.oldest_from(microseconds),
        )
        records: list[Any] = self._shard.edge.scroll(request)[0]
        return [(record.order_value, record.id) for record in records]

    def keys_at(self, microseconds: int, *, gallery: str, first_id: int, limit: int, remark: str | None) -> list[Key]:
        """See listing.FaceReader."""
        ties = filters.only(gallery, remark=remark, at=microseconds)
        request = qdrant.ScrollRequest(offset=first_id, limit=limit, filter=ties, with_payload=False, with_vector=False)
        records: list[Any] = self._shard.edge.scroll(request)[0]
        return [(microseconds, record.id) for record in records]

    def fetch(self, face_ids: Sequence[int], *, gallery: str | None) -> dict[int, StoredFace]:
        """See Store.fetch."""
        records: list[Any] = self._shard.edge.retrieve([*face_ids], with_payload=True, with_vector=False)
        faces = (to_face(record.id, record.payload) for record in records)
        return {face.face_id: face for face in faces if gallery in (None, face.gallery)}

    def embeddings(self, face_ids: Sequence[int], *, gallery: str | None) -> dict[int, Embedding]:
        """See Store.embeddings."""
        records: list[Any] = self._shard.edge.retrieve([*face_ids], with_payload=[GALLERY], with_vector=True)
        return {
            record.id: np.array(record.vector, np.float32)
            for record in records
            if gallery in (None, record.payload[GALLERY])
        }

    def page_embedded(self, *, after: int, limit: int) -> list[tuple[StoredFace, Embedding]]:
        """The next `limit` faces past a face_id, by face_id, with their embeddings."""
        request = qdrant.ScrollRequest(offset=after + 1, limit=limit, with_payload=True, with_vector=True)
        records: list[Any] = self._shard.edge.scroll(request)[0]
        return [(to_face(each.id, each.payload), np.array(each.vector, np.float32)) for each in records]

    def inspect(
        self, *, after: int, limit: int, cipher: GalleryCipher | None = None
    ) -> tuple[dict[int, str], int | None]:
        """See inspection.InspectPage."""
        request = qdrant.ScrollRequest(offset=after + 1, limit=limit, with_payload=True, with_vector=True)
        records: list[Any] = self._shard.edge.scroll(request)[0]
        dimension = self._shard.dimension
        found = {each.id: wrong_with(each.id, each.vector, each.payload, dimension, cipher) for each in records}
        wrong = {face_id: words for face_id, words in found.items() if words is not None}
        return wrong, records[-1].id if records else None

    def page_keys(self, *, after: int, limit: int) -> list[Stamp]:
        """The stamps of the next `limit` faces past a face_id, by face_id."""
        request = qdrant.ScrollRequest(offset=after + 1, limit=limit, with_payload=[*STAMPED], with_vector=False)
        records: list[Any] = self._shard.edge.scroll(request)[0]
        return [to_stamp(each.id, each.payload) for each in records]

    def page_ids(self, *, gallery: str, device_id: str | None, after: int, limit: int) -> list[int]:
        """See Store.ids."""
        which = filters.of_device(gallery, device_id)
        request = qdrant.ScrollRequest(
            offset=after + 1, limit=limit, filter=which, with_payload=False, with_vector=False
        )
        records: list[Any] = self._shard.edge.scroll(request)[0]
        return [each.id for each in records]

    def change(self, face_id: int, changes: FaceChanges, *, gallery: str) -> bool:
        """See Store.change."""
        payload = to_changes(changes, gallery=gallery)
        if not self._has(face_id, gallery):
            return False
        self._shard.update(qdrant.UpdateOperation.set_payload([face_id], payload), touched=[face_id])
        return True

    def remove(self, face_id: int, *, gallery: str | None) -> bool:
        """See Store.remove."""
        if not self._has(face_id, gallery):
            return False
        self._shard.update(qdrant.UpdateOperation.delete_points([face_id]), touched=[face_id])
        return True

    def remove_many(self, face_ids: Sequence[int], *, gallery: str) -> None:
        """See Store.remove_many."""
        self.remove_all(filters.numbered(face_ids, gallery))

    def remove_expired(self, now: datetime) -> int:
        """See Store.remove_expired."""
        return self.remove_all(filters.expired(now))

    def remove_all(self, which: qdrant.Filter) -> int:
        """Forget all faces that a filter lets through; how many there were."""
        return self.remove_some(self._shard.matching(which))

    def remove_some(self, found: Sequence[int]) -> int:
        """Forget the faces of some numbers; how many these are."""
        for begin in range(0, len(found), REMOVED_AT_ONCE):
            some = found[begin : begin + REMOVED_AT_ONCE]
            self._shard.update(qdrant.UpdateOperation.delete_points([*some]), touched=some)
        return len(found)

    def count(self, *, gallery: str | None = None) -> int:
        """See Store.count."""
        which = None if gallery is None else filters.only(gallery)
        return self._shard.edge.count(qdrant.CountRequest(exact=True, filter=which))

    def figures(self) -> Figures:
        """See Store.figures."""
        people = PeopleCount()
        while (person := people.next_from()) is not None:
            request = qdrant.ScrollRequest(
                limit=people.READ_AT_ONCE,
                order_by=filters.least_from(PERSON, person),
                with_payload=[PERSON],
                with_vector=False,
            )
            records: list[Any] = self._shard.edge.scroll(request)[0]
            people.add([each.payload[PERSON] for each in records])
        return Figures(
            faces=self.count(),
            remarks=people.people,
            indexed=self._shard.edge.info().indexed_vectors_count,
            are_remarks_estimated=people.is_estimated,
        )

    def _has(self, face_id: int, gallery: str | None) -> bool:
        records: list[Any] = self._shard.edge.retrieve([face_id], with_payload=[GALLERY], with_vector=False)
        return bool(records) and gallery in (None, records[0].payload[GALLERY])
