"""The galleries on a Qdrant server, as the metadata of their collection remember them, each under a key of its own.

Qdrant merges metadata key by key, so that two services which make two galleries at once lose neither.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.errors import StoreUnavailable
from service.stores.payload import to_text
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
    """See Store.create_gallery; of two calls for one name at the same moment both may return True."""
    if name == DEFAULT_GALLERY or _PREFIX + name in await read(requests):
        return False
    # A registration may have been under way while one of that name was removed.
    await requests.delete(filters.only(name), BULK_LIMIT_S)
    await write(requests, {_PREFIX + name: to_text(created_at)})
    return True


async def remove(requests: Requests, name: str) -> bool:
    """See Store.remove_gallery: the faces first, so that a removal that was cut off is seen and can be repeated."""
    if name != DEFAULT_GALLERY and _PREFIX + name not in await read(requests):
        return False
    await requests.delete(filters.only(name), BULK_LIMIT_S)
    if name != DEFAULT_GALLERY:
        await write(requests, {_PREFIX + name: None})
    return True


async def read(requests: Requests) -> dict[str, Any]:
    """The part of the collection's metadata that galleries are kept in."""
    info = await requests.link.call(lambda client: client.get_collection(requests.real))
    metadata = info.config.metadata or {}
    return {key: value for key, value in metadata.items() if key.startswith(_PREFIX) and value is not None}


async def write(requests: Requests, entries: dict[str, Any]) -> None:
    """Add to what `read` gives; None removes an entry."""
    await collection.write_metadata(requests.link, requests.real, entries)
    await requests.require_writable(BULK_LIMIT_S)
