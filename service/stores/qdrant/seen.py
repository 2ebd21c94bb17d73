"""When the people of a collection on a Qdrant server were seen last: marked, and those removed who were not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.stores.payload import SEEN_AT, to_text
from service.stores.qdrant import filters
from service.stores.qdrant.link import BULK_LIMIT_S
from service.stores.qdrant.requests import Requests


async def mark(requests: Requests, people: Sequence[tuple[str, str]], at: datetime) -> None:
    """See Store.mark_seen."""
    for gallery, remark in people:
        await requests.set_payload(filters.only(gallery, remark=remark), {SEEN_AT: to_text(at)}, BULK_LIMIT_S)


async def remove_unseen(requests: Requests, before: datetime, now: datetime) -> int:
    """See Store.remove_unseen."""
    if await requests.count(filters.never_marked()):
        await requests.set_payload(filters.never_marked(), {SEEN_AT: to_text(now)}, BULK_LIMIT_S)
    return await requests.delete_counted(filters.unseen(before))
