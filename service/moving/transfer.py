"""Moves the faces of a store that is in use, as lines: all of one moment out, or those of an archive in."""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from service.errors import ContractMismatch, FaceServiceError, UnusableArchive
from service.moving.archive import Header, end_line, face_line, header_line, is_end, read_face, read_header
from service.stores.contracts import describe
from service.stores.listing import Key, key_of
from service.stores.store import Added, Store
from service.values import Embedding, ModelContract, StoredFace

FACES_AT_ONCE = 64
"""Faces read and written together while exporting: a megabyte with their pictures."""
BATCH_FACES = 256
"""Faces added at once while importing, fewer where their lines have BATCH_BYTES."""
BATCH_BYTES = 8 * 2**20

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

    async def export(self, gallery: str | None) -> AsyncIterator[bytes]:
        """The lines of an archive, some at a time: every face of a gallery (None: of all) of the moment it begins.

        But for those that are deleted before their lines are made. What is changed meanwhile is there in one of its
        states. Memory grows by 8 bytes for each face. Raises StoreUnavailable; then the end line never comes.
        """
        ahead = await self._stamped_ahead(gallery)
        began = self._clock()
        last = key_of(2**53, began)
        ids = array("q")
        async for key in self._store.scan_keys():
            if key <= last or key[1] in ahead:
                ids.append(key[1])
        head = header_line(Header(self._contract, gallery or "", len(ids), self._store.face_id_bits))
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
        for another model's, StoreUnavailable, and UnusableArchive, with the line and how many were added till then.
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
        digest, count, size = hashlib.sha256(), 0, 0
        batch: list[tuple[StoredFace, Embedding]] = []
        known = {each.name for each in await self._store.galleries()}
        ended = False
        try:
            async for line in lines:
                done.line += 1
                if ended:
                    raise ValueError("more follows after the end")
                if done.line == 1:
                    self._require_fit(read_header(line))
                elif is_end(line):
                    if line != end_line(count, digest.hexdigest()):
                        raise ValueError("the lines before it are not those that were exported")
                    ended = True
                else:
                    face, embedding = read_face(line, self._contract.dimension)
                    self._require_room(face)
                    batch.append((replace(face, gallery=gallery) if gallery else face, embedding))
                    count, size = count + 1, size + len(line)
                digest.update(line)
                if len(batch) == BATCH_FACES or size >= BATCH_BYTES:
                    size = 0
                    await self._add(batch, known, done)
            if not ended:
                done.line += 1
                raise ValueError("it is cut off there")
        except (ValueError, FaceServiceError):
            await self._add(batch, known, done)  # those before the damage are good
            raise
        await self._add(batch, known, done)

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

    def _require_room(self, face: StoredFace) -> None:
        bits = self._store.face_id_bits
        if face.face_id >= 2**bits:
            raise ValueError(f"the face_id has more than {bits} bits")

    async def _add(self, batch: list[tuple[StoredFace, Embedding]], known: set[str], done: Imported) -> None:
        for name in {face.gallery for face, _ in batch} - known:
            await self._store.create_gallery(name, self._clock())
            known.add(name)
        if batch:
            done.outcomes.update(await self._store.add_many(batch))
            batch.clear()


def _lines(faces: Faces) -> bytes:
    return b"".join([face_line(face, embedding) for face, embedding in faces])
