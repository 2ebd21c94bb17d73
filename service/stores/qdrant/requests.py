"""What the shared store asks its collection, and how it writes to it: in one order everywhere, and never unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from qdrant_client import models

from service.picture_addresses import PictureAddresses
from service.stores.qdrant import messages, writable
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink
from service.stores.qdrant.messages import Record
from service.stores.qdrant.points import Point

# One replica is asked first and the others follow it, so that they agree on who came first.
ORDERING = models.WriteOrdering.MEDIUM

MOST = models.ReadConsistencyType.QUORUM
"""Every copy is asked, and what most of them have is answered: what has been written isn't missed because one of them
lags behind. (`majority` and `all` answer what all have that are asked.)"""

WRITE_LIMIT_S = 2
"""After that a node says that a write wasn't done in time, and it is repeated; batches may take longer."""


class Requests:
    """Requests to one collection, by its real name; `name` is the one that services know it by.

    Records and hits are `Any`, because the client's types allow ids and payloads that this store never writes.
    """

    def __init__(self, link: QdrantLink, *, name: str, real: str, addresses: PictureAddresses | None = None) -> None:
        """`addresses` gives each face that is added one of its picture."""
        self.addresses = addresses
        self.link = link
        self.name = name
        self.real = real

    async def scroll(
        self, limit_s: float | None = None, *, with_payload: bool | list[str] = False, **what: Any
    ) -> list[Any]:
        """Records, in the order of their ids or of a field."""
        request = {"with_payload": with_payload, **what}
        return (await self.link.call(lambda client: client.scroll(self.real, **request), limit_s))[0]

    async def read(self, face_ids: Sequence[int], limit_s: float | None = None, **what: Any) -> list[Record]:
        """The records of some faces, those that there are; for `what` see messages.get."""
        if not face_ids:
            return []
        return await self.link.call(lambda client: messages.get(client, self.real, face_ids, **what), limit_s)

    async def read_surely(self, face_ids: Sequence[int], limit_s: float | None = None, **what: Any) -> list[Record]:
        """Like `read`; what one copy lacks is looked for in the others, so that only what is gone is missing."""
        records = await self.read(face_ids, limit_s, **what)
        found = {each.id for each in records}
        lacking = [face_id for face_id in face_ids if face_id not in found]
        return records + await self.read(lacking, limit_s, consistency=MOST, **what)

    async def read_written(self, face_ids: Sequence[int], limit_s: float | None, **what: Any) -> list[Record]:
        """`read_surely` and `require_writable` in one, for what was just written: the record is read with the faces."""
        read = partial(self.read, [*face_ids, writable.RECORD], limit_s, consistency=writable.CONSISTENCY, **what)
        records, in_use = await asyncio.gather(
            read(), writable.is_in_use(self.link, name=self.name, real=self.real, limit_s=limit_s)
        )
        found = {each.id: each for each in records}
        writable.require(still_open=writable.RECORD in found or self.name == self.real, in_use=in_use)
        lacking = [face_id for face_id in face_ids if face_id not in found]
        missed = await self.read(lacking, limit_s, consistency=MOST, **what)
        return [found[face_id] for face_id in face_ids if face_id in found] + missed

    async def count_all(self) -> int:
        """How many faces there are in all galleries: without a filter, which would have all of them looked at."""
        points, record = await asyncio.gather(self.count(None), self.read([writable.RECORD], with_payload=False))
        return int(points) - len(record)

    async def count(self, which: models.Filter | None) -> int:
        """How many points there are, exactly."""
        answer = await self.link.call(lambda client: client.count(self.real, count_filter=which, exact=True))
        return answer.count

    async def count_surely(self, which: models.Filter) -> int:
        """Like `count`; 0 only where most copies have none, and about where only one has none."""
        return await self.count(which) or len(await self.scroll(scroll_filter=which, limit=1000, consistency=MOST))

    async def facet(self, field: str, which: models.Filter | None, *, limit: int, limit_s: float | None) -> list[Any]:
        """The different values of a field, each with how many faces have it, exactly."""
        answer = await self.link.call(
            lambda client: client.facet(self.real, field, facet_filter=which, limit=limit, exact=True), limit_s
        )
        return answer.hits

    async def insert(self, points: Sequence[Point], limit_s: float | None) -> None:
        """Add those that aren't there; others stay as they are."""
        timeout_s = _within(limit_s)
        await self.link.call(
            lambda client: messages.insert(client, self.real, points, ordering=ORDERING, timeout_s=timeout_s), limit_s
        )

    async def set_payload(self, which: models.Filter, payload: dict[str, Any], limit_s: float | None = None) -> None:
        """Give faces other fields; those that are None are taken from them."""
        await self.link.call(
            lambda client: client.set_payload(
                self.real, payload, which, wait=True, ordering=ORDERING, timeout=_within(limit_s)
            ),
            limit_s,
        )
        await self.require_writable(limit_s)

    async def delete(self, which: models.Filter, limit_s: float | None = None) -> None:
        """Forget faces."""
        selector = models.FilterSelector(filter=which)
        await self.link.call(
            lambda client: client.delete(self.real, selector, wait=True, ordering=ORDERING, timeout=_within(limit_s)),
            limit_s,
        )
        await self.require_writable(limit_s)

    async def delete_counted(self, which: models.Filter) -> int:
        """Forget faces, and say how many there were, about."""
        found = await self.count(which)
        if found:
            await self.delete(which, BULK_LIMIT_S)
        return found

    async def require_writable(self, limit_s: float | None = None) -> None:
        """Raise StoreUnavailable where what was just written may be lost; see writable.require_open."""
        await writable.require_open(self.link, name=self.name, real=self.real, limit_s=limit_s)


def _within(limit_s: float | None) -> int | None:
    """What a node is told to write within, in seconds."""
    return WRITE_LIMIT_S if limit_s is None else None
