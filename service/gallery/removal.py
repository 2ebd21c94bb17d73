"""Many faces of a gallery removed, some at a time: all of them, or those that a device registered."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from service.stores.store import Store

REMOVED_AT_ONCE = 500
"""Faces; the gallery is busy with these for a twentieth of a second or so."""


async def remove_in_steps(store: Store, *, gallery: str, device_id: str | None = None) -> AsyncGenerator[list[int]]:
    """The numbers of some faces, which are removed for good when the next ones are asked for, and so on to the end.

    Cut off at any moment, it can be repeated. A face that is registered meanwhile may stay. Raises StoreUnavailable.
    """
    after = 0
    while face_ids := await store.ids(gallery=gallery, device_id=device_id, after=after, limit=REMOVED_AT_ONCE):
        yield face_ids
        await store.remove_many(face_ids, gallery=gallery)
        after = face_ids[-1]
