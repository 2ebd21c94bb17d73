"""The questions that people ask of the known faces: enroll, identify, list, remove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from service.errors import InvalidRequest, UnknownFace
from service.gallery.choices import SEVERAL
from service.gallery.duplicates import DuplicateCheck
from service.gallery.enrollment import Enrollment, observe_candidate, require_faces
from service.gallery.fair_lists import FairLists
from service.gallery.identification import Identifier
from service.gallery.people import People
from service.gallery.registering import EnrolledFace, Registrar
from service.gallery.removal import remove_in_steps
from service.gallery.rules import Rules
from service.gallery.scoring import Candidate
from service.settings import QualityLevel
from service.stores.listing import Key, key_of
from service.stores.store import Added, Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY, FaceChanges, Match, StoredFace
from service.vision.engine import Engine
from service.vision.quality import checks_for


class Gallery:
    """An engine that sees, and one gallery of a store that remembers."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        rules: Rules,
        clock: Callable[[], datetime],
        duplicate_check: DuplicateCheck | None = None,
        *,
        known_duplicates: DuplicateCheck | None = None,
        name: str = DEFAULT_GALLERY,
        require_gallery: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`clock` gives the time of a registration, aware and in UTC.

        `duplicate_check` refuses some registrations, `known_duplicates` tells of those that were not refused. For
        `require_gallery` see Registrar.
        """
        self._engine = engine
        self._store = store
        self._rules = rules
        self._clock = clock
        self.name = name
        self._registering, self._changing = asyncio.Lock(), asyncio.Lock()
        self._lists = FairLists()
        self.people = People(store, gallery=name, clock=clock, changing=self._changing)
        self._registrar = Registrar(
            store, gallery=name, clock=clock, require_gallery=require_gallery, changing=self._changing
        )
        self._identifier = Identifier(store, score=rules.score, gallery=name, clock=clock)
        self.remove_in_steps = partial(remove_in_steps, store, gallery=name)
        self._duplicate_check = duplicate_check
        self._known_duplicates = known_duplicates

    async def enroll(self, photo: bytes, remark: str, timings: Timings, *, device_id: str | None = None) -> int:
        """Remember the one face that a photo is about under a remark; its face_id.

        The same photo with the same remark adds nothing. Raises InvalidImage, FaceNotFound, PoorQuality,
        AlreadyRegistered, UnknownGallery, Overloaded or StoreUnavailable.
        """
        rules = self._rules
        candidate = await observe_candidate(
            self._engine, photo, rules.choose, timings, picture_side=rules.picture_side, quality=rules.quality
        )
        enrollment = Enrollment(
            candidate=candidate,
            nth=0,
            remark=remark,
            registered_at=self._clock(),
            device_id=device_id,
            gallery=self.name,
        )
        if self._duplicate_check is None:
            return (await self._add([enrollment], timings))[0][0]
        async with self._registering:  # two remarks of one face at the same moment would not see each other
            with timings.measure("search"):
                await self._duplicate_check.require_new(enrollment.embedding, remark)
            return (await self._add([enrollment], timings))[0][0]

    async def enroll_faces(
        self,
        photo: bytes,
        remark: str,
        timings: Timings,
        *,
        faces: str | None,
        quality: QualityLevel | None,
        metadata: Mapping[str, Any] | None = None,
        expires_at: datetime | None = None,
        device_id: str | None = None,
    ) -> list[EnrolledFace]:
        """Remember faces of a photo under a remark, and tell all about them; `faces` is a word of choices.SEVERAL.

        Where `faces` or `quality` is None, the settings' holds. Of several faces those of poor quality are left out.
        A face that is known takes over `metadata` and `expires_at` (aware) where they aren't None. Raises what `enroll`
        raises, MultipleFaces for `single`, and InvalidRequest for a time that isn't to come; then nothing is
        remembered.
        """
        self._require_to_come(expires_at)
        candidate = await observe_candidate(
            self._engine,
            photo,
            SEVERAL[faces](self._rules.min_score) if faces else self._rules.choose,
            timings,
            picture_side=self._rules.picture_side,
            quality=quality or self._rules.quality,
        )
        first = Enrollment(
            candidate=candidate,
            nth=0,
            remark=remark,
            registered_at=self._clock(),
            device_id=device_id,
            gallery=self.name,
            metadata=metadata,
            expires_at=expires_at,
        )
        return await self._enroll_each([replace(first, nth=nth) for nth in range(len(candidate.faces))], timings)

    async def _enroll_each(self, enrollments: Sequence[Enrollment], timings: Timings) -> list[EnrolledFace]:
        async with self._registering:
            duplicates = [await self._duplicate(each, timings) for each in enrollments]
            added = await self._add(enrollments, timings)
        kept = await self._store.fetch([face_id for face_id, _ in added], gallery=self.name)
        return [
            EnrolledFace(
                face=kept[face_id],
                is_new=outcome is Added.NEW,
                quality=each.candidate.faces[each.nth].quality,
                duplicate_of=duplicate,
            )
            for (face_id, outcome), each, duplicate in zip(added, enrollments, duplicates, strict=True)
            if face_id in kept  # else it was removed at once
        ]

    async def identify(
        self, photo: bytes, limit: int, timings: Timings, *, group_by_remark: bool = False
    ) -> list[Match]:
        """The `limit` known faces most like the one that a photo is about, best first, none below the threshold.

        With `group_by_remark` each remark is there once, with its best face. Raises InvalidImage, FaceNotFound,
        PoorQuality, Overloaded or StoreUnavailable.
        """
        observation = await timings.while_wanted(self._engine.observe(photo, self._rules.choose, timings))
        checks = checks_for(self._rules.quality, "identify")
        embedding = require_faces(observation, self._engine.min_face, checks)[0].embedding
        with timings.measure("search"):
            return await self._identifier.search(
                embedding, limit, threshold_for=self._rules.threshold_for, group_by_remark=group_by_remark
            )

    async def face(self, face_id: int) -> StoredFace:
        """The face of a number. Raises UnknownFace where there is none, or StoreUnavailable."""
        found = await self._store.fetch([face_id], gallery=self.name)
        if face_id not in found or found[face_id].is_expired(self._clock()):
            raise unknown_face(face_id)
        return found[face_id]

    async def change(self, face_id: int, edit: Callable[[StoredFace], FaceChanges]) -> StoredFace:
        """Give the face of a number what `edit` makes of its fields; the face as it is then.

        Raises UnknownFace, StoreUnavailable, InvalidRequest for a time that isn't to come, and what `edit` raises.
        """
        async with self._changing:  # of two changes at the same moment, none may undo the other's
            face = await self.face(face_id)
            changes = edit(face)
            self._require_to_come(changes.expires_at)
            if not await self._store.change(face_id, changes, gallery=self.name):
                raise unknown_face(face_id)
        return replace(face, remark=changes.remark, metadata=changes.metadata, expires_at=changes.expires_at)

    async def page(self, limit: int, *, after: Key | None, remark: str | None) -> tuple[list[StoredFace], Key | None]:
        """The `limit` oldest faces behind a key, all or those of a remark, and behind which key it goes on, if it does.

        There are fewer where the time of some was up. Raises StoreUnavailable.
        """
        faces = [face async for face in self._store.scan(limit=limit, gallery=self.name, after=after, remark=remark)]
        if not faces:
            return [], None
        last = key_of(faces[-1].face_id, faces[-1].registered_at)
        more = self._store.scan(limit=1, gallery=self.name, after=last, remark=remark)
        now = self._clock()
        shown = [face for face in faces if not face.is_expired(now)]
        return shown, last if await anext(more, None) is not None else None

    async def count(self) -> int:
        """How many faces there are, with those whose time was up just now. Raises StoreUnavailable."""
        return await self._store.count(gallery=self.name)

    async def list(
        self, offset: int = 0, limit: int | None = None, *, after: Key | None = None, remark: str | None = None
    ) -> AsyncIterator[StoredFace]:
        """Every known face, those behind a key or of a remark only, oldest first; for the rest see Store.scan."""
        found = self._store.scan(offset, limit, gallery=self.name, after=after, remark=remark)
        async for face in self._lists.read(found):
            if not face.is_expired(self._clock()):
                yield face

    async def place(self, face_id: int) -> Key:
        """A face's place in the list. Raises UnknownFace where it is gone, for its place went with it."""
        try:
            face = await self.face(face_id)
        except UnknownFace:
            raise UnknownFace(
                f"There is no face {face_id} any more to list others after; name one that is still there, or list from "
                "the start."
            ) from None
        return key_of(face_id, face.registered_at)

    async def remove(self, face_id: int, timings: Timings) -> None:
        """Forget a face. Raises UnknownFace where there is none of that number."""
        with timings.measure("store"):
            if not await self._store.remove(face_id, gallery=self.name):
                raise unknown_face(face_id)

    async def _duplicate(self, enrollment: Enrollment, timings: Timings) -> Candidate | None:
        """The face of another remark that it is known as; raises AlreadyRegistered where that is refused."""
        with timings.measure("search"):
            if self._duplicate_check is not None:
                await self._duplicate_check.require_new(enrollment.embedding, enrollment.remark)
                return None
            if self._known_duplicates is not None:
                return await self._known_duplicates.find(enrollment.embedding, enrollment.remark)
            return None

    async def _add(self, enrollments: Sequence[Enrollment], timings: Timings) -> Sequence[tuple[int, Added]]:
        with timings.measure("store"):
            return await self._registrar.add(enrollments)

    def _require_to_come(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidRequest("`expires_at` is past; send a time that is still to come.")


def unknown_face(face_id: int) -> UnknownFace:
    """For a number that no face has."""
    return UnknownFace(f"There is no face {face_id}; list the registered faces to see which there are.")
