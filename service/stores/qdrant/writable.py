"""Whether a collection may be written to: a record beside its faces says so, where each write finds it in time.

An alias is in the consensus of a cluster, points are in its shards, and neither waits for the other: a node that has
just woken goes by an alias of before. So the sign is a point. A write reads it when it is done, and whoever takes the
collection out of use removes it before anything else. A write that found it was there before, so it is seen by what
comes after.
"""

from __future__ import annotations

import asyncio

from qdrant_client import models

from service.errors import GalleryMoved, StoreUnavailable
from service.stores.payload import GALLERY
from service.stores.qdrant import aliases
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink

RECORD = 0
"""The record's number, which no face has."""

CONSISTENCY = models.ReadConsistencyType.MAJORITY
"""How the record is read: what every copy has that is asked, which are most of them; so its absence isn't missed."""

_NO_GALLERY = ""
"""Its gallery, which no face is in."""


async def open_for_writing(link: QdrantLink, real: str, *, dimension: int) -> None:
    """Put the record there; nothing happens where it is."""
    record = models.PointStruct(id=RECORD, vector=[1.0, *[0.0] * (dimension - 1)], payload={GALLERY: _NO_GALLERY})
    ordering, mode = models.WriteOrdering.MEDIUM, models.UpdateMode.INSERT_ONLY
    await link.call(
        lambda client: client.upsert(real, [record], wait=True, ordering=ordering, update_mode=mode), BULK_LIMIT_S
    )


async def close_for_writing(link: QdrantLink, real: str) -> None:
    """Take the record away: from now on no write is answered as done.

    By a filter, so that every copy of every shard is told: one that doesn't answer is no active copy any more.
    """
    selector = models.FilterSelector(filter=models.Filter(must=[models.HasIdCondition(has_id=[RECORD])]))
    await link.call(
        lambda client: client.delete(real, selector, wait=True, ordering=models.WriteOrdering.MEDIUM), BULK_LIMIT_S
    )


async def is_open(link: QdrantLink, real: str, limit_s: float | None = None) -> bool:
    """Whether the record is there."""
    found = await link.call(
        lambda client: client.retrieve(real, [RECORD], with_payload=False, consistency=CONSISTENCY), limit_s
    )
    return bool(found)


async def require_open(link: QdrantLink, *, name: str, real: str, limit_s: float | None = None) -> None:
    """Raise StoreUnavailable where what was just written may be lost, GalleryMoved where it is.

    A name that is the collection's own needs no record: nothing can take its place.
    """
    if name != real:
        still_open, in_use = await asyncio.gather(
            is_open(link, real, limit_s), is_in_use(link, name=name, real=real, limit_s=limit_s)
        )
        require(still_open=still_open, in_use=in_use)


def require(*, still_open: bool, in_use: bool) -> None:
    """Raise what `require_open` raises, by what was found out: `is_open` and `is_in_use`."""
    if not in_use:  # an operator, or a service with another model on a new gallery, may have given the name away
        raise moved()
    if still_open:
        return
    raise StoreUnavailable(
        "The gallery is just moving to another model; repeat the request in a moment, or run "
        "`python -m indexer reembed` again if that was cut off."
    )


async def is_in_use(link: QdrantLink, *, name: str, real: str, limit_s: float | None = None) -> bool:
    """Whether no other collection has taken the place of this one, as far as the node that is asked has heard."""
    return name == real or await aliases.stands_for(link, name, real, limit_s)


def moved() -> GalleryMoved:
    """What is said of a collection that has been left."""
    return GalleryMoved(
        "The gallery has moved to another model, which the service is taking up; repeat the request in a moment."
    )
