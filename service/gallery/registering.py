"""Brings faces into one gallery of a store: under free numbers, once each, and never into a gallery that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import UnknownGallery
from service.gallery.enrollment import Enrollment, add_under_free_ids
from service.gallery.scoring import Candidate
from service.stores.store import Added, Store
from service.values import Embedding, FaceChanges, Quality, StoredFace


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledFace:
    """A face as it is kept now, how good it is, and the best face of another remark that it is known as, if any.

    `is_new` is false where it was registered before.
    """

    face: StoredFace
    is_new: bool
    quality: Quality
    duplicate_of: Candidate | None


class Registrar:
    """Adds faces to one gallery of a store."""

    def __init__(
        self,
        store: Store,
        *,
        gallery: str,
        clock: Callable[[], datetime],
        require_gallery: Callable[[], Awaitable[None]] | None = None,
        changing: asyncio.Lock | None = None,
    ) -> None:
        """`clock` gives the aware time by which faces expire.

        `require_gallery` raises UnknownGallery where the gallery is gone by now; None for one that can't go. `changing`
        is held by whoever reads faces of the gallery and writes them back changed.
        """
        self._store = store
        self._gallery = gallery
        self._clock = clock
        self._require_gallery = require_gallery
        self._changing = changing or asyncio.Lock()

    async def add(self, enrollments: Sequence[Enrollment]) -> list[tuple[int, Added]]:
        """The number of each face, under which it is kept now, and whether it is NEW or KNOWN.

        A face that was known already stays as it is, but takes over the metadata and the end of its time where the
        enrollment has them; one whose time was up is registered anew. Raises StoreUnavailable, and UnknownGallery where
        somebody removed the gallery meanwhile; then none of the faces stays.
        """
        added = await self._added(enrollments)
        known = [face_id for face_id, outcome in added if outcome is Added.KNOWN]
        if known and await self._remove_expired(known):
            first = added
            added = [
                (face_id, Added.NEW if Added.NEW in (before, outcome) else outcome)
                for (_, before), (face_id, outcome) in zip(first, await self._added(enrollments), strict=True)
            ]
        for (face_id, outcome), enrollment in zip(added, enrollments, strict=True):
            if outcome is Added.KNOWN:
                await self._update(face_id, enrollment)
        await self._require_kept([face_id for face_id, _ in added])
        return added

    async def _added(self, enrollments: Sequence[Enrollment]) -> list[tuple[int, Added]]:
        return await add_under_free_ids(enrollments, self._add_each, face_id_bits=self._store.face_id_bits)

    async def _add_each(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> Sequence[Added]:
        # `add` rather than `add_many`: a device waits, so the store's limit is that of a request, not of a batch.
        return [await self._store.add(face, embedding) for face, embedding in faces]

    async def _remove_expired(self, face_ids: Sequence[int]) -> bool:
        """Whether the time of any of the faces was up, so that it would soon be removed; it is removed now."""
        now = self._clock()
        found = await self._store.fetch(face_ids, gallery=self._gallery)
        expired = [face_id for face_id, face in found.items() if face.is_expired(now)]
        for face_id in expired:
            await self._store.remove(face_id, gallery=self._gallery)
        return bool(expired)

    async def _update(self, face_id: int, enrollment: Enrollment) -> None:
        if enrollment.metadata is None and enrollment.expires_at is None:
            return
        async with self._changing:
            face = (await self._store.fetch([face_id], gallery=self._gallery)).get(face_id)
            if face is not None:
                changes = FaceChanges(
                    remark=face.remark,
                    metadata=face.metadata if enrollment.metadata is None else enrollment.metadata,
                    expires_at=enrollment.expires_at or face.expires_at,
                )
                await self._store.change(face_id, changes, gallery=self._gallery)

    async def _require_kept(self, face_ids: Sequence[int]) -> None:
        """Removing a gallery ends with its faces, once it is off the list: so one of the two sees the other."""
        if self._require_gallery is None:
            return
        try:
            await self._require_gallery()
        except UnknownGallery:
            for face_id in face_ids:
                await self._store.remove(face_id, gallery=self._gallery)
            raise
