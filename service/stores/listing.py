"""Lists faces oldest first, page by page, out of an engine that can order by time but not by time and face_id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.values import StoredFace

FACES_AT_ONCE = 100
"""Faces read at once while listing: some megabytes with their pictures."""

SKIPPED_AT_ONCE = 2000
"""Faces skipped at once, of which only the keys are read."""

KEYS_AT_ONCE = 2000
"""Keys read at once while galleries are compared."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Key = tuple[int, int]
"""A face's place in the list: (registered_at in microseconds since 1970, face_id)."""

Stamp = tuple[int, int, int]
"""A face's key, and the number of its last change, 0 for none: what differs in two galleries, or from one time to the
next, was registered anew or changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceReader:
    """What the engine is asked for, of all faces or of those of one remark.

    `keys_from(microseconds, limit)` gives the keys of the `limit` oldest faces from that time on (None: of all), in
    order of time, equal times in any order; `keys_at(microseconds, first_id, limit)` those of exactly that time, from
    `first_id` on, by face_id; `fetch(ids)` gives the faces that are still there.
    """

    keys_from: Callable[[int | None, int], Awaitable[list[Key]]]
    keys_at: Callable[[int, int, int], Awaitable[list[Key]]]
    fetch: Callable[[list[int]], Awaitable[Mapping[int, StoredFace]]]


async def scan(
    reader: FaceReader, offset: int, limit: int | None, after: Key | None = None
) -> AsyncIterator[StoredFace]:
    """See Store.scan; faces that come or go meanwhile may or may not be seen, all others exactly once.

    There are fewer than `limit` at the end of the list only: others take the place of those that go meanwhile.
    """
    while offset > 0:
        keys = await _keys(reader, after, min(offset, SKIPPED_AT_ONCE))
        if not keys:
            return
        offset -= len(keys)
        after = keys[-1]
    while limit is None or limit > 0:
        size = FACES_AT_ONCE if limit is None else min(limit, FACES_AT_ONCE)
        keys = await _keys(reader, after, size)
        faces = await reader.fetch([face_id for _, face_id in keys]) if keys else {}
        for _, face_id in keys:
            if face_id in faces:
                yield faces[face_id]
        if len(keys) < size:
            return
        after = keys[-1]
        limit = None if limit is None else limit - len(faces)


async def _keys(reader: FaceReader, after: Key | None, limit: int) -> list[Key]:
    """The keys of the next `limit` faces, in order.

    An engine that orders by time only cuts a run of equal times wherever the limit falls; so the run at the cut is
    read apart, by face_id.
    """
    keys = await reader.keys_at(after[0], after[1] + 1, limit) if after else []
    room = limit - len(keys)
    if room == 0:
        return keys
    later = sorted(await reader.keys_from(after[0] + 1 if after else None, room))
    if len(later) < room:
        return keys + later
    cut = later[-1][0]
    keys += [key for key in later if key[0] != cut]
    return keys + await reader.keys_at(cut, 0, limit - len(keys))


def key_of(face_id: int, registered_at: datetime) -> Key:
    """A face's key."""
    return (registered_at - _EPOCH) // timedelta(microseconds=1), face_id


def time_of(microseconds: int) -> datetime:
    """The time that a key tells."""
    return _EPOCH + timedelta(microseconds=microseconds)
