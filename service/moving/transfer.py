"""Moves the faces of a store that is in use, as lines: all of one moment out, or those of an archive in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from array import array
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.errors import ContractMismatch, InvalidRequest, UnknownGallery, UnusableArchive
from service.moving.archive import Header, Seal, end_line, face_line, header_line, read_face, read_header
from service.stores.contracts import describe
from service.stores.listing import Key, key_of
from service.stores.store import Added, Store
from service.values import MAX_REMARK, Embedding, GalleryEntry, ModelContract, StoredFace

FACES_AT_ONCE = 64
"""Faces read and written together while exporting: a megabyte with their pictures."""
BATCH_FACES = 256
"""Faces added at once while importing, fewer where their lines have BATCH_BYTES."""
BATCH_BYTES = 8 * 2**20
LONG_LINE_BYTES = 256 * 1024
"""Such lines are parsed beside the event loop: the longest take a tenth of a second."""

Batch = list[tuple[StoredFace, Embedding]]
Entries = dict[str, GalleryEntry]
"""The galleries that there are, by name."""
Faces = Sequence[tuple[StoredFace, Embedding]]


@dataclass(slots=True)
class Imported:
    """What became of the faces of an archive so far; `line` is the number of the line that was read last."""

    outcomes: Counter[Added] = field(default_factory=Counter)
    line: int = 0

    @property
    def added(self) -> int:
        """Faces that are new."""
        return self.outcomes[Added.NEW]

    @property
    def known(self) -> int:
        """Faces that were there already."""
        return self.outcomes[Added.KNOWN]

    @property
    def taken(self) -> int:
        """Faces that were not added, for others have their numbers."""
        return self.outcomes[Added.TAKEN]


class Transfer:
    """Exports and imports, beside everything else that a store does."""

    def __init__(self, store: Store, contract: ModelContract, clock: Callable[[], datetime]) -> None:
        """`contract` is that of the store; `clock` gives the time by which faces are registered and expire."""
        self._store = store
        self._contract = contract
        self._clock = clock

    async def export(self, gallery: str | None) -> AsyncGenerator[bytes]:
        """The lines of an archive, some at a time: every face of a gallery (None: of all) of the moment it begins.

        But for those that are deleted before their lines are made. What is changed meanwhile is there in one of its
        states; what an import brings meanwhile may be there. Memory grows by 8 bytes for each face. Raises
        StoreUnavailable; then the end line never comes.
        """
        ahead = await self._stamped_ahead(gallery)
        began = self._clock()
        last = key_of(2**53, began)
        ids = array("q")
        async for key in self._store.scan_keys():
            if key <= last or key[1] in ahead:
                ids.append(key[1])
        total = len(ids) if gallery is None else min(len(ids), await self._store.count(gallery=gallery))
        head = header_line(Header(self._contract, gallery or "", total, self._store.face_id_bits))
        digest, count = hashlib.sha256(head), 0
        yield head
        for start in range(0, len(ids), FACES_AT_ONCE):
            faces = await self._faces(ids[start : start + FACES_AT_ONCE].tolist(), gallery, last, ahead)
            lines = await asyncio.to_thread(_lines, faces)
            digest.update(lines)
            count += len(faces)
            if lines:
                yield lines
        yield end_line(count, digest.hexdigest())

    async def _stamped_ahead(self, gallery: str | None) -> frozenset[int]:
        """Faces that are there already though their time of registration, by another clock, is still to come."""
        names = [gallery] if gallery else [each.name for each in await self._store.galleries()]
        now = key_of(2**53, self._clock())
        return frozenset([face.face_id for name in names async for face in self._store.scan(gallery=name, after=now)])

    async def _faces(self, ids: list[int], gallery: str | None, last: Key, ahead: frozenset[int]) -> Faces:
        found = await self._store.fetch(ids, gallery=gallery)
        embeddings = await self._store.embeddings(list(found), gallery=gallery)
        now = self._clock()
        return [
            (face, embeddings[face_id])
            for face_id, face in sorted(found.items())
            if face_id in embeddings
            and not face.is_expired(now)
            and (key_of(face_id, face.registered_at) <= last or face_id in ahead)
        ]

    async def import_lines(self, lines: AsyncIterator[bytes], gallery: str | None) -> Imported:
        """Add the faces of an archive, into the galleries that they name or all into one that is there.

        Faces that are there already are KNOWN, those whose number another face has are TAKEN. Raises ContractMismatch
        for another model's, StoreUnavailable, UnusableArchive with the line and how many were added till then, and
        UnknownGallery where somebody removes a gallery meanwhile; then none of the faces stays in that one.
        """
        done = Imported()
        try:
            await self._import(lines, gallery, done)
        except (ValueError, UnusableArchive) as error:
            said = str(error).rstrip(".")
            raise UnusableArchive(
                f"The archive can't be read at line {done.line}: {said}. {done.added} faces were added "
                "before; send an undamaged one, faces that are there are not added again."
            ) from None
        return done

    async def _import(self, lines: AsyncIterator[bytes], gallery: str | None, done: Imported) -> None:
        entries = await self._entries()
        if gallery is not None and gallery not in entries:
            raise _removed(gallery)
        batch: Batch = []
        size = 0
        try:
            async for line, face, embedding in self._read(lines, done):
                batch.append((replace(face, gallery=gallery) if gallery else face, embedding))
                size += len(line)
                if len(batch) == BATCH_FACES or size >= BATCH_BYTES:
                    full, batch, size = batch, [], 0
                    await self._add(full, entries, done)
        except (ValueError, InvalidRequest, UnusableArchive):
            await self._add(batch, entries, done)  # those before the damage are good
            raise
        await self._add(batch, entries, done)

    async def _read(
        self, lines: AsyncIterator[bytes], done: Imported
    ) -> AsyncIterator[tuple[bytes, StoredFace, Embedding]]:
        """Each face with its line. Raises ValueError at the line that is damaged, and what `lines` raises."""
        seal: Seal | None = None
        async for line in lines:
            done.line += 1
            if seal is None:
                self._require_fit(read_header(line))
                seal = Seal(line)
            elif seal.is_face(line):
                yield line, *await self._face(line)
        done.line += 1
        if seal is None:
            raise ValueError("it is empty")
        seal.require_end()

    async def _face(self, line: bytes) -> tuple[StoredFace, Embedding]:
        dimension = self._contract.dimension
        long = len(line) > LONG_LINE_BYTES
        read = await asyncio.to_thread(read_face, line, dimension) if long else read_face(line, dimension)
        _require_usable(read[0], self._store.face_id_bits)
        return read

    def _require_fit(self, header: Header) -> None:
        if header.contract != self._contract:
            raise ContractMismatch(
                f"The archive's faces were made with {describe(header.contract)}, those of the gallery with "
                f"{describe(self._contract)}; import it into a new gallery with `python -m indexer import`, and run "
                "`python -m indexer reembed` on that one."
            )
        if header.face_id_bits > self._store.face_id_bits:
            raise ValueError(
                f"its numbers of faces have {header.face_id_bits} bits, this service's have {self._store.face_id_bits}"
                "; import it into a new gallery with `python -m indexer import`"
            )

    async def _add(self, batch: Batch, entries: Entries, done: Imported) -> None:
        """Add faces, and make those of their galleries that nobody has made yet."""
        if not batch:
            return
        names = {face.gallery for face, _ in batch}
        if new := names - entries.keys():
            for name in new:
                await self._store.create_gallery(name, self._clock())
            there = await self._entries()
            entries.update({name: there[name] for name in new if name in there})
        outcomes = await self._store.add_many(batch)
        await self._require_kept(batch, outcomes, entries)
        done.outcomes.update(outcomes)

    async def _require_kept(self, batch: Batch, outcomes: Sequence[Added], entries: Entries) -> None:
        """Take the faces back whose gallery was removed meanwhile, even if one of its name was made since."""
        there = await self._entries()
        gone = {face.gallery for face, _ in batch if there.get(face.gallery) != entries.get(face.gallery)}
        gone |= {face.gallery for face, _ in batch} - there.keys()
        for (face, _), outcome in zip(batch, outcomes, strict=True):
            if face.gallery in gone and outcome is Added.NEW:
                await self._store.remove(face.face_id, gallery=face.gallery)
        if gone:
            raise _removed(min(gone))

    async def _entries(self) -> Entries:
        return {each.name: each for each in await self._store.galleries()}


def _require_usable(face: StoredFace, bits: int) -> None:
    """Raise ValueError for a face that could not have been registered here."""
    if face.face_id >= 2**bits:
        raise ValueError(f"the face_id has more than {bits} bits")
    if len(face.remark) > MAX_REMARK:
        raise ValueError(f"the remark has more than {MAX_REMARK} characters")
    try:
        base64.b64decode(face.picture, validate=True)
    except binascii.Error:
        raise ValueError("the picture is no base64") from None


def _removed(gallery: str) -> UnknownGallery:
    return UnknownGallery(
        f"The gallery {gallery} was removed during the import, and its faces with it; make it again and repeat the "
        "import, or leave it at that."
    )


def _lines(faces: Faces) -> bytes:
    return b"".join([face_line(face, embedding) for face, embedding in faces])
