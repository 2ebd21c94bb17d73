"""What the shared store asks its collection, and how it writes to it: in one order everywhere, and never unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from service.stores.qdrant import aliases
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink

# One replica is asked first and the others follow it, so that they agree on who came first.
ORDERING = models.WriteOrdering.MEDIUM


class Requests:
    """Requests to one collection, by its real name; `name` is the one that services know it by.

    Records and hits are `Any`, because the client's types allow ids and payloads that this store never writes.
    """

    def __init__(self, link: QdrantLink, *, name: str, real: str) -> None:
        self.link = link
        self.name = name
        self.real = real

    async def scroll(
        self, limit_s: float | None = None, *, with_payload: bool | list[str] = False, **what: Any
    ) -> list[Any]:
        """Records, in the order of their ids or of a field."""
        request = {"with_payload": with_payload, **what}
        return (await self.link.call(lambda client: client.scroll(self.real, **request), limit_s))[0]

    async def read(self, face_ids: Sequence[int], limit_s: float | None = None, **what: Any) -> list[Any]:
        """The records of some faces, those that there are."""
        if not face_ids:
            return []
        return await self.link.call(lambda client: client.retrieve(self.real, [*face_ids], **what), limit_s)

    async def count(self, which: models.Filter | None = None) -> int:
        """How many faces there are, exactly."""
        answer = await self.link.call(lambda client: client.count(self.real, count_filter=which, exact=True))
        return answer.count

    async def facet(self, field: str, which: models.Filter | None, *, limit: int, limit_s: float | None) -> list[Any]:
        """The different values of a field, each with how many faces have it, exactly."""
        answer = await self.link.call(
            lambda client: client.facet(self.real, field, facet_filter=which, limit=limit, exact=True), limit_s
        )
        return answer.hits

    async def insert(self, points: list[models.PointStruct], limit_s: float | None) -> None:
        """Add those that aren't there; others stay as they are."""
        await self.link.call(partial(self._insert, points), limit_s)

    async def set_payload(self, which: models.Filter, payload: dict[str, Any], limit_s: float | None = None) -> None:
        """Give faces other fields; those that are None are taken from them."""
        await self.link.call(
            lambda client: client.set_payload(self.real, payload, which, wait=True, ordering=ORDERING), limit_s
        )
        await self.require_writable(limit_s)

    async def delete(self, which: models.Filter, limit_s: float | None = None) -> None:
        """Forget faces."""
        selector = models.FilterSelector(filter=which)
        await self.link.call(lambda client: client.delete(self.real, selector, wait=True, ordering=ORDERING), limit_s)
        await self.require_writable(limit_s)

    async def delete_counted(self, which: models.Filter) -> int:
        """Forget faces, and say how many there were, about."""
        found = await self.count(which)
        if found:
            await self.delete(which, BULK_LIMIT_S)
        return found

    async def require_writable(self, limit_s: float | None = None) -> None:
        """Raise StoreUnavailable where what was just written may be lost; see aliases.require_writable."""
        await aliases.require_writable(self.link, name=self.name, real=self.real, limit_s=limit_s)

    async def _insert(self, points: list[models.PointStruct], client: AsyncQdrantClient) -> None:
        mode = models.UpdateMode.INSERT_ONLY
        await client.upsert(self.real, points, wait=True, ordering=ORDERING, update_mode=mode)
