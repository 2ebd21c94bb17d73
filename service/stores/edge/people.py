"""The people of the embedded store's shard: gone through by their names, counted, renamed, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import qdrant_edge as qdrant

from service.stores.edge import filters
from service.stores.edge.durable_shard import DurableShard
from service.stores.edge.faces import Faces
from service.stores.payload import REMARK, SEEN_AT, to_renaming, to_text
from service.stores.people import NAME_ORDER, PERSON, Sighting
from service.values import Person


class People:
    """See service.stores.store.Store; what is written is on disk once the shard's `sync` has returned."""

    def __init__(self, shard: DurableShard, faces: Faces) -> None:
        self._shard = shard
        self._faces = faces

    def sightings_from(self, name_order: int, *, gallery: str, part: str | None, limit: int) -> list[Sighting]:
        """See people.PeopleReader; `part` is in one case, as names are."""
        return self._sightings(filters.named(gallery, part=part), filters.least_from(NAME_ORDER, name_order), limit)

    def sightings_at(
        self, name_order: int, *, person: int, gallery: str, part: str | None, limit: int
    ) -> list[Sighting]:
        """See people.PeopleReader; `part` is in one case, as names are."""
        ties = filters.named(gallery, part=part, name_order=name_order)
        return self._sightings(ties, filters.least_from(PERSON, person), limit)

    def counts(self, persons: Sequence[int], *, gallery: str) -> Mapping[int, int]:
        """See people.PeopleReader."""
        request = qdrant.FacetRequest(PERSON, len(persons), exact=True, filter=filters.of_people(gallery, persons))
        hits: list[Any] = self._shard.edge.facet(request).hits
        return {hit.value: hit.count for hit in hits}

    def find(self, remark: str, *, gallery: str) -> Person | None:
        """See Store.person."""
        which = filters.only(gallery, remark=remark)
        request = qdrant.ScrollRequest(limit=1, filter=which, with_payload=False, with_vector=False)
        records: list[Any] = self._shard.edge.scroll(request)[0]
        faces = self._shard.edge.count(qdrant.CountRequest(exact=True, filter=which))
        return Person(remark=remark, faces=faces, face_id=records[0].id) if records else None

    def rename(self, remark: str, new: str, *, gallery: str) -> int:
        """See Store.rename_person."""
        which, payload = filters.only(gallery, remark=remark), to_renaming(new, gallery=gallery)
        found = self._shard.matching(which)
        if found and new != remark:
            self._shard.update(qdrant.UpdateOperation.set_payload([*found], payload), touched=found)
        return len(found)

    def mark_seen(self, people: Sequence[tuple[str, str]], at: datetime) -> None:
        """See Store.mark_seen."""
        for gallery, remark in people:
            self._mark(filters.only(gallery, remark=remark), at)

    def remove_unseen(self, before: datetime, now: datetime) -> int:
        """See Store.remove_unseen."""
        self._mark(filters.never_marked(), now)
        return self._faces.remove_all(filters.unseen(before))

    def _mark(self, which: qdrant.Filter, at: datetime) -> None:
        if found := self._shard.matching(which):
            payload = {SEEN_AT: to_text(at)}
            # The former date is no secret: people who are seen each day would have the gallery made anew each day.
            self._shard.update(qdrant.UpdateOperation.set_payload([*found], payload), touched=found, erases=False)

    def remove(self, remark: str, *, gallery: str) -> int:
        """See Store.remove_person."""
        return self._faces.remove_all(filters.only(gallery, remark=remark))

    def _sightings(self, which: qdrant.Filter, order: qdrant.OrderBy, limit: int) -> list[Sighting]:
        request = qdrant.ScrollRequest(
            limit=limit, filter=which, with_payload=[REMARK, NAME_ORDER, PERSON], with_vector=False, order_by=order
        )
        records: list[Any] = self._shard.edge.scroll(request)[0]
        return [
            Sighting((each.payload[NAME_ORDER], each.payload[PERSON]), each.id, each.payload[REMARK])
            for each in records
        ]
