"""The galleries on a Qdrant server, as the metadata of their collection remember them, each under a key of its own.

Qdrant merges metadata key by key, so that two services which make two galleries at once lose neither.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qdrant_client import models

from service.errors import StoreUnavailable
from service.stores.listing import KEYS_AT_ONCE
from service.stores.payload import REGISTERED_AT, to_text, to_time
from service.stores.qdrant import collection, filters
from service.stores.qdrant.link import BULK_LIMIT_S
from service.stores.qdrant.requests import Requests
from service.values import DEFAULT_GALLERY, GalleryEntry

_PREFIX = "gallery:"


async def galleries(requests: Requests) -> list[GalleryEntry]:
    """See Store.galleries."""
    kept = await read(requests)
    try:
        made = [
            GalleryEntry(name=key.removeprefix(_PREFIX), created_at=datetime.fromisoformat(kept[key]))
            for key in sorted(kept)
        ]
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(
            f"What the metadata of Qdrant's collection {requests.real} say about galleries can't be read; restore them."
        ) from error
    return [GalleryEntry(name=DEFAULT_GALLERY, created_at=None), *made]


async def create(requests: Requests, name: str, created_at: datetime) -> bool:
    """See Store.create_gallery.

    Of two services that make one gallery at the same moment both may return True, and the later time stays. Neither
    loses a face of the other's: see `_remove_leftovers`.
    """
    if name == DEFAULT_GALLERY or await _is_listed(requests, name):
        return False
    if not await _remove_leftovers(requests, name):
        return False
    await write(requests, {_PREFIX + name: to_text(created_at)})
    return True


async def remove(requests: Requests, name: str) -> bool:
    """See Store.remove_gallery: the faces, the name, and the faces that came between the two.

    In this order, so that a removal that was cut off is seen and can be repeated.
    """
    if name != DEFAULT_GALLERY and not await _is_listed(requests, name):
        return False
    await requests.delete(filters.only(name), BULK_LIMIT_S)
    if name != DEFAULT_GALLERY:
        await write(requests, {_PREFIX + name: None})
        await _remove_leftovers(requests, name)
    return True


async def _remove_leftovers(requests: Requests, name: str) -> bool:
    """Forget the faces of a gallery that there isn't: of registrations that were under way while it was removed.

    False where it is there by now, because another service made it. Its faces are safe: what is removed was there
    before a list was read that doesn't have the gallery, and one that has the same number now is newer.
    """
    found: list[models.Filter] = []
    after = 0
    while records := await requests.scroll(
        BULK_LIMIT_S,
        scroll_filter=filters.only(name),
        offset=after + 1,
        limit=KEYS_AT_ONCE,
        with_payload=[REGISTERED_AT],
    ):
        newest = max(to_time(each.payload) for each in records)
        found.append(filters.numbered([each.id for each in records], gallery=name, until=newest))
        after = records[-1].id
    if await _is_listed(requests, name):
        return False
    for which in found:
        await requests.delete(which, BULK_LIMIT_S)
    return True


async def _is_listed(requests: Requests, name: str) -> bool:
    return _PREFIX + name in await read(requests)


async def read(requests: Requests) -> dict[str, Any]:
    """The part of the collection's metadata that galleries are kept in."""
    info = await requests.link.call(lambda client: client.get_collection(requests.real))
    metadata = info.config.metadata or {}
    return {key: value for key, value in metadata.items() if key.startswith(_PREFIX) and value is not None}


async def write(requests: Requests, entries: dict[str, Any]) -> None:
    """Add to what `read` gives; None removes an entry."""
    await collection.write_metadata(requests.link, requests.real, entries)
    await requests.require_writable(BULK_LIMIT_S)
