"""Gives the faces of an older version's shard the fields and indexes that came since, without an export."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

import qdrant_edge as qdrant

from service.stores.edge.durable_shard import DurableShard
from service.stores.edge.new_shards import INDEXES
from service.stores.payload import GALLERY, REMARK
from service.stores.people import PERSON, person_fields
from service.values import DEFAULT_GALLERY

log = logging.getLogger(__name__)

FACES_AT_ONCE = 1000
"""Faces that are brought up to date between two syncs."""


def bring_up_to_date(shard: DurableShard) -> None:
    """Set the fields that faces lack, then make the indexes; cut off at any moment, it goes on when called again.

    In this order, because Edge moves a face out of the search index when a field changes that has an index already.
    """
    log.info("Bringing the gallery up to date: every face gets a gallery and a name")
    done, after = 0, 0
    while True:
        request = qdrant.ScrollRequest(
            offset=after + 1, limit=FACES_AT_ONCE, with_payload=[REMARK, GALLERY, PERSON], with_vector=False
        )
        records: list[Any] = shard.edge.scroll(request)[0]
        if not records:
            break
        done += complete(shard, records)
        after = records[-1].id
    make_indexes(shard)
    log.info("The gallery is up to date: %d faces got new fields", done)


def complete(shard: DurableShard, records: list[Any]) -> int:
    """Set the missing fields of some faces; how many lacked some."""
    lacking: dict[str, list[int]] = defaultdict(list)
    for each in records:
        if PERSON not in each.payload:
            lacking[each.payload[REMARK]].append(each.id)
    for remark, face_ids in lacking.items():
        fields = {GALLERY: DEFAULT_GALLERY, **person_fields(remark, gallery=DEFAULT_GALLERY)}
        shard.update(qdrant.UpdateOperation.set_payload([*face_ids], fields))
    shard.sync()
    return sum(map(len, lacking.values()))


def remake_indexes(shard: DurableShard) -> None:
    """Make all of them from the faces, whatever the former ones say."""
    for name in INDEXES:
        if name in shard.edge.info().payload_schema:
            shard.update(qdrant.UpdateOperation.delete_field_index(name))
    make_indexes(shard)


def make_indexes(shard: DurableShard) -> None:
    """Make those that are missing; the former ones stay as they are."""
    for name, schema in INDEXES.items():
        if name not in shard.edge.info().payload_schema:
            shard.update(qdrant.UpdateOperation.create_field_index(name, schema))
    shard.sync()
    shard.flush()
