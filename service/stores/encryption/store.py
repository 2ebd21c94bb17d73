"""A store whose faces are encrypted on their way in and decrypted on their way out, whatever keeps them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from service.errors import UnreadableFace
from service.stores.encryption.cipher import GalleryCipher
from service.stores.listing import Key, Stamp, key_of
from service.stores.people import PersonKey, name_of, person_key
from service.stores.store import Added, Figures, Store
from service.values import Embedding, Erasure, FaceChanges, GalleryEntry, ModelContract, Nearest, Person, StoredFace

log = logging.getLogger(__name__)

_PEOPLE_AT_ONCE = 1000
"""People read at once while a part of their remarks is looked for."""


class EncryptedStore:
    """See service.stores.store.Store.

    Lists and searches leave out a face that can't be decrypted, and the log names it; who asks for that very face, or
    for all faces to move them, gets UnreadableFace. People come in an order of the encrypted remarks, and a part of a
    remark is looked for in those of everybody.
    """

    def __init__(self, kept: Store, cipher: GalleryCipher) -> None:
        """`kept` must have been made for this cipher's `key_check`."""
        self._kept = kept
        self._cipher = cipher

    async def open(self) -> ModelContract | None:
        """See Store.open; also raises WrongEncryptionKey."""
        return await self._kept.open()

    async def bind(self, contract: ModelContract, *, face_id_bits: int = 31) -> None:
        """See Store.bind; also raises WrongEncryptionKey."""
        await self._kept.bind(contract, face_id_bits=face_id_bits)

    @property
    def face_id_bits(self) -> int:
        """See Store.face_id_bits."""
        return self._kept.face_id_bits

    @property
    def node(self) -> str | None:
        """See Store.node."""
        return self._kept.node

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """See Store.add; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return await self._kept.add(self._cipher.encrypt(face), embedding)

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many; raises ValueError like `add`, and adds none then."""
        return await self._kept.add_many([(self._cipher.encrypt(face), embedding) for face, embedding in faces])

    async def search(
        self, embedding: Embedding, limit: int, *, gallery: str, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """See Store.search."""
        found = await self._kept.search(
            embedding, limit, gallery=gallery, people=people, remark=self._of_one(remark, gallery)
        )
        decrypted = (self._readable(face) for face in found.faces.values())
        faces = {face.face_id: face for face in decrypted if face is not None}
        neighbours = [
            each._replace(remark=faces[each.face_id].remark) for each in found.neighbours if each.face_id in faces
        ]
        return Nearest(neighbours, faces, found.found)

    async def scan(
        self,
        offset: int = 0,
        limit: int | None = None,
        *,
        gallery: str,
        after: Key | None = None,
        remark: str | None = None,
    ) -> AsyncIterator[StoredFace]:
        """See Store.scan."""
        wanted = self._of_one(remark, gallery)
        left_out = limit
        while left_out is None or left_out > 0:  # others take the place of those that are left out
            limit, left_out = left_out, 0
            async for each in self._kept.scan(offset, limit, gallery=gallery, after=after, remark=wanted):
                after = key_of(each.face_id, each.registered_at)
                face = self._readable(each)
                if face is not None:
                    yield face
                elif limit is not None:
                    left_out += 1
            offset = 0

    async def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """See Store.scan_embedded; raises UnreadableFace, so that what is moved is whole."""
        async for face, embedding in self._kept.scan_embedded(after):
            yield self._cipher.decrypt(face), embedding

    def scan_keys(self, after: int = 0) -> AsyncIterator[Stamp]:
        """See Store.scan_keys."""
        return self._kept.scan_keys(after)

    async def fetch(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, StoredFace]:
        """See Store.fetch; raises UnreadableFace."""
        found = await self._kept.fetch(face_ids, gallery=gallery)
        return {face_id: self._cipher.decrypt(face) for face_id, face in found.items()}

    async def embeddings(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, Embedding]:
        """See Store.embeddings."""
        return await self._kept.embeddings(face_ids, gallery=gallery)

    async def change(self, face_id: int, changes: FaceChanges, *, gallery: str) -> bool:
        """See Store.change; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        encrypted = self._cipher.encrypt_changes(face_id, changes, gallery=gallery)
        return await self._kept.change(face_id, encrypted, gallery=gallery)

    async def remove(self, face_id: int, *, gallery: str | None) -> bool:
        """See Store.remove."""
        return await self._kept.remove(face_id, gallery=gallery)

    async def ids(self, *, gallery: str, device_id: str | None, after: int, limit: int) -> list[int]:
        """See Store.ids."""
        return await self._kept.ids(gallery=gallery, device_id=device_id, after=after, limit=limit)

    async def remove_many(self, face_ids: Sequence[int], *, gallery: str) -> None:
        """See Store.remove_many."""
        await self._kept.remove_many(face_ids, gallery=gallery)

    async def remove_expired(self, now: datetime) -> int:
        """See Store.remove_expired."""
        return await self._kept.remove_expired(now)

    async def mark_seen(self, people: Sequence[tuple[str, str]], at: datetime) -> None:
        """See Store.mark_seen."""
        marked = [(gallery, self._cipher.encrypt_remark(remark, gallery=gallery)) for gallery, remark in people]
        await self._kept.mark_seen(marked, at)

    async def remove_unseen(self, before: datetime, now: datetime) -> int:
        """See Store.remove_unseen."""
        return await self._kept.remove_unseen(before, now)

    async def count(self, *, gallery: str | None = None) -> int:
        """See Store.count."""
        return await self._kept.count(gallery=gallery)

    async def people(
        self, limit: int, *, gallery: str, after: PersonKey | None = None, part: str | None = None
    ) -> tuple[list[Person], PersonKey | None]:
        """See Store.people; in an order of their own, and with `part` all people are read."""
        if not part:
            found, goes_on = await self._kept.people(limit, gallery=gallery, after=after)
            return [person for each in found if (person := self._known(each, gallery)) is not None], goes_on
        named: list[tuple[Person, PersonKey]] = []
        wanted = name_of(part)
        while True:
            found, after = await self._kept.people(_PEOPLE_AT_ONCE, gallery=gallery, after=after)
            for each in found:
                person = self._known(each, gallery)
                if person is not None and wanted in name_of(person.remark):
                    named.append((person, person_key(each.remark, gallery=gallery)))
            if after is None or len(named) > limit:
                shown = named[:limit]
                return [person for person, _ in shown], shown[-1][1] if len(named) > limit and shown else None

    async def person(self, remark: str, *, gallery: str) -> Person | None:
        """See Store.person."""
        found = await self._kept.person(self._cipher.encrypt_remark(remark, gallery=gallery), gallery=gallery)
        return None if found is None else replace(found, remark=remark)

    async def rename_person(self, remark: str, new: str, *, gallery: str) -> int:
        """See Store.rename_person; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        former, later = (self._cipher.encrypt_remark(each, gallery=gallery) for each in (remark, new))
        return await self._kept.rename_person(former, later, gallery=gallery)

    async def remove_person(self, remark: str, *, gallery: str) -> int:
        """See Store.remove_person."""
        return await self._kept.remove_person(self._cipher.encrypt_remark(remark, gallery=gallery), gallery=gallery)

    async def galleries(self) -> list[GalleryEntry]:
        """See Store.galleries."""
        return await self._kept.galleries()

    async def create_gallery(self, name: str, created_at: datetime) -> bool:
        """See Store.create_gallery."""
        return await self._kept.create_gallery(name, created_at)

    async def remove_gallery(self, name: str) -> bool:
        """See Store.remove_gallery."""
        return await self._kept.remove_gallery(name)

    async def require_current(self) -> None:
        """See Store.require_current."""
        await self._kept.require_current()

    async def figures(self) -> Figures:
        """See Store.figures."""
        return await self._kept.figures()

    async def probe_write(self) -> None:
        """See Store.probe_write."""
        await self._kept.probe_write()

    async def erasure(self) -> Erasure | None:
        """See Store.erasure."""
        return await self._kept.erasure()

    async def optimize(self, *, purge: bool = False) -> None:
        """See Store.optimize."""
        await self._kept.optimize(purge=purge)

    async def close(self) -> None:
        """See Store.close."""
        await self._kept.close()

    def _of_one(self, remark: str | None, gallery: str) -> str | None:
        return None if remark is None else self._cipher.encrypt_remark(remark, gallery=gallery)

    def _readable(self, face: StoredFace) -> StoredFace | None:
        try:
            return self._cipher.decrypt(face)
        except UnreadableFace as error:
            log.error("A face was left out: %s", error)
            return None

    def _known(self, person: Person, gallery: str) -> Person | None:
        try:
            return replace(person, remark=self._cipher.decrypt_remark(person.remark, gallery=gallery))
        except UnreadableFace as error:
            log.error("A person was left out: %s", error)
            return None
