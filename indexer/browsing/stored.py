"""A gallery that this process has open, told of as /v1 tells of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from service.errors import UnknownFace
from service.gallery.people import People
from service.gallery.removal import remove_in_steps
from service.stores.store import Store
from service.values import StoredFace


class StoredGallery:
    """See indexer.browsing.access.Faces; faces whose time is up aren't told of."""

    def __init__(
        self, store: Store, gallery: str, *, place: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.place = f"gallery {gallery} in {place}"
        self._store = store
        self._gallery = gallery
        self._clock = clock
        self._people = People(store, gallery=gallery, clock=clock)

    async def list(self, remark: str | None) -> AsyncIterator[Mapping[str, Any]]:
        """See Faces.list."""
        now = self._clock()
        async for face in self._store.scan(gallery=self._gallery, remark=remark):
            if not face.is_expired(now):
                told = _told(face)
                del told["picture"]
                yield told

    async def face(self, face_id: int) -> Mapping[str, Any]:
        """See Faces.face."""
        found = (await self._store.fetch([face_id], gallery=self._gallery)).get(face_id)
        if found is None or found.is_expired(self._clock()):
            raise _unknown(face_id)
        return _told(found)

    async def count(self, remark: str) -> int:
        """See Faces.count."""
        return (await self._people.person(remark)).faces

    async def remove_face(self, face_id: int) -> None:
        """See Faces.remove_face."""
        if not await self._store.remove(face_id, gallery=self._gallery):
            raise _unknown(face_id)

    async def remove_person(self, remark: str) -> int:
        """See Faces.remove_person."""
        return await self._people.remove(remark)

    async def remove_faces(self, device_id: str | None) -> int:
        """See Faces.remove_faces."""
        removed = 0
        async for face_ids in remove_in_steps(self._store, gallery=self._gallery, device_id=device_id):
            removed += len(face_ids)
        return removed


def _told(face: StoredFace) -> dict[str, Any]:
    told = asdict(face)
    box = face.box._asdict()
    return told | {
        "box": box,
        "registered_at": _time(face.registered_at),
        "expires_at": None if face.expires_at is None else _time(face.expires_at),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _unknown(face_id: int) -> UnknownFace:
    return UnknownFace(f"There is no face {face_id} in this gallery; `face-indexer list` shows those that there are.")
