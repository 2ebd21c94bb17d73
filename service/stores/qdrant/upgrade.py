"""Gives the faces of an older version's collection the fields, indexes and links that came since, without an export."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

from qdrant_client import models

from service.stores.payload import GALLERY, REMARK
from service.stores.people import person_fields
from service.stores.qdrant import collection, filters, indexes
from service.stores.qdrant.collection import ExistingCollection
from service.stores.qdrant.link import BULK_LIMIT_S
from service.stores.qdrant.requests import ORDERING, Requests
from service.values import DEFAULT_GALLERY

log = logging.getLogger(__name__)

FACES_AT_ONCE = 500
"""Faces that are brought up to date with one request."""


async def bring_up_to_date(requests: Requests, found: ExistingCollection) -> None:
    """Set the fields that faces lack, then make the indexes and let Qdrant rebuild the links in the background.

    Cut off at any moment, or done by two services at once, it ends right: a face is changed only as long as it lacks
    the fields. That it is done is written into the metadata. From then on a start only asks for faces that lack them,
    which the index of `person` answers at once: a service of an older version that still runs adds such faces, and
    nobody sees them before.
    """
    if not found.is_current:
        log.info("Bringing the gallery up to date: every face gets a gallery and a name")
    done = await _complete_all(requests)
    if found.is_current:
        await indexes.add_indexes(requests.link, requests.real, found.info.payload_schema)
        if done:
            log.warning("%d faces of a service of an older version were brought up to date; update it too", done)
        return
    # Again where they are there: they lack links of their own, and must not get any now.
    await indexes.add_indexes(requests.link, requests.real, {})
    if found.info.config.hnsw_config.payload_m == 0:  # else an operator chose otherwise
        await requests.link.call(
            lambda client: client.update_collection(requests.real, hnsw_config=collection.HNSW), BULK_LIMIT_S
        )
    await requests.require_writable(BULK_LIMIT_S)
    kept = {collection.LAYOUT: collection.CURRENT_LAYOUT, collection.FACE_ID_BITS: found.face_id_bits}
    await collection.write_metadata(requests.link, requests.real, kept)
    log.info("The gallery is up to date: %d faces got new fields", done)


async def _complete_all(requests: Requests) -> int:
    """Set the missing fields of all faces that lack some; how many there were."""
    done, after = 0, 0
    while records := await requests.scroll(
        BULK_LIMIT_S,
        scroll_filter=filters.incomplete(),
        offset=after + 1,
        limit=FACES_AT_ONCE,
        with_payload=[REMARK],
    ):
        await _complete(requests, records)
        done += len(records)
        after = records[-1].id
    return done


async def _complete(requests: Requests, records: list[Any]) -> None:
    """Set the missing fields of some faces."""
    lacking: dict[str, list[int]] = defaultdict(list)
    for each in records:
        lacking[each.payload[REMARK]].append(each.id)
    operations: list[models.UpdateOperation] = []
    for remark, face_ids in lacking.items():
        fields = {GALLERY: DEFAULT_GALLERY, **person_fields(remark, gallery=DEFAULT_GALLERY)}
        setting = models.SetPayload(payload=fields, filter=filters.incomplete(face_ids))
        operations.append(models.SetPayloadOperation(set_payload=setting))
    await requests.link.call(
        lambda client: client.batch_update_points(requests.real, operations, wait=True, ordering=ORDERING),
        BULK_LIMIT_S,
    )
