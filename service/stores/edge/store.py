"""The embedded store: Qdrant Edge in a folder of this machine, owned by a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.errors import StoreUnavailable, WrongEncryptionKey
from service.stores import listing
from service.stores.contracts import require_key
from service.stores.edge import inspection, limits, people_requests, removal_requests, requests, upkeep_requests
from service.stores.edge.findings import Findings
from service.stores.edge.link import HANG_LIMIT_S, EdgeLink
from service.stores.edge.readers import face_reader, people_reader
from service.stores.listing import Key, Stamp
from service.stores.people import PersonKey, name_of, page
from service.stores.store import Added, Figures
from service.values import Embedding, Erasure, FaceChanges, GalleryEntry, ModelContract, Nearest, Person, StoredFace

if TYPE_CHECKING:  # galleries in clear do without its package
    from service.stores.encryption.cipher import GalleryCipher


class EdgeStore:
    """See service.stores.store.Store; the answers come from `service.stores.edge.process`."""

    def __init__(
        self,
        folder: Path,
        *,
        request_limit_s: float = limits.REQUEST_LIMIT_S,
        hang_limit_s: float = HANG_LIMIT_S,
        opening: str = "first",
        key_check: str | None = None,
        purge_s: int = 0,
        index_from: int = 0,
    ) -> None:
        """A process that answers nothing for `hang_limit_s` is replaced; `key_check` is that of the cipher's key.

        Within `purge_s` seconds of a removal nothing of the face is on disk, and once `index_from` faces aren't indexed
        an index is built, both while calls are answered; with 0 neither happens by itself.

        With "inspecting" as `opening`, a damaged gallery is opened as far as Edge can load it.
        """
        self._link = EdgeLink(
            folder,
            request_limit_s=request_limit_s,
            hang_limit_s=hang_limit_s,
            opening=opening,
            rules=(purge_s, index_from),
        )
        self._face_id_bits: int | None = None
        self._key_check = key_check

    async def open(self) -> ModelContract | None:
        """See Store.open; also raises StoreUnavailable for a folder that can't be used or is damaged."""
        contract = await self._link.open()
        if contract is not None:
            try:
                require_key(self._link.key_check, self._key_check)
            except WrongEncryptionKey:
                await self._link.close()
                raise
        return contract

    async def bind(self, contract: ModelContract, *, face_id_bits: int = 31) -> None:
        """See Store.bind."""
        self._face_id_bits = await self._link.bind(
            requests.Bind(contract, face_id_bits, self._key_check), limits.BIND_LIMIT_S
        )

    @property
    def face_id_bits(self) -> int:
        """See Store.face_id_bits; raises StoreUnavailable before it is bound."""
        if self._face_id_bits is None:
            raise StoreUnavailable("The gallery has not been bound to a model yet.")
        return self._face_id_bits

    @property
    def node(self) -> str | None:
        """See Store.node."""
        return None

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """See Store.add; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return (await self.add_many([(face, embedding)]))[0]

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many; all of them wait for the disk once. Raises ValueError like `add`, and adds none then."""
        exact = [(face, np.asarray(embedding, np.float32)) for face, embedding in faces]
        return await self._link.call(requests.AddMany(exact))

    async def search(
        self, embedding: Embedding, limit: int, *, gallery: str, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """See Store.search."""
        exact = np.asarray(embedding, np.float32)
        return await self._link.call(
            requests.Search(embedding=exact, gallery=gallery, limit=limit, people=people, remark=remark)
        )

    def scan(
        self,
        offset: int = 0,
        limit: int | None = None,
        *,
        gallery: str,
        after: Key | None = None,
        remark: str | None = None,
    ) -> AsyncIterator[StoredFace]:
        """See Store.scan; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        return listing.scan(face_reader(self._link, gallery, remark), offset, limit, after)

    async def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """See Store.scan_embedded; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        while page := await self._link.call(requests.PageEmbedded(after=after, limit=listing.FACES_AT_ONCE)):
            for each in page:
                yield each
            after = page[-1][0].face_id

    async def scan_keys(self, after: int = 0) -> AsyncIterator[Stamp]:
        """See Store.scan_keys; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        while page := await self._link.call(requests.PageKeys(after=after, limit=listing.KEYS_AT_ONCE)):
            for each in page:
                yield each
            after = page[-1][1]

    async def fetch(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, StoredFace]:
        """See Store.fetch."""
        return await self._link.call(requests.Fetch([*face_ids], gallery))

    async def embeddings(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, Embedding]:
        """See Store.embeddings."""
        return await self._link.call(requests.FetchEmbeddings([*face_ids], gallery))

    async def change(self, face_id: int, changes: FaceChanges, *, gallery: str) -> bool:
        """See Store.change; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return await self._link.call(requests.Change(face_id, changes, gallery))

    async def remove(self, face_id: int, *, gallery: str | None) -> bool:
        """See Store.remove."""
        return await self._link.call(requests.Remove(face_id, gallery))

    async def ids(self, *, gallery: str, device_id: str | None, after: int, limit: int) -> list[int]:
        """See Store.ids."""
        return await self._link.call(
            removal_requests.PageIds(gallery=gallery, device_id=device_id, after=after, limit=limit)
        )

    async def remove_many(self, face_ids: Sequence[int], *, gallery: str) -> None:
        """See Store.remove_many."""
        await self._link.call(removal_requests.RemoveMany(face_ids, gallery), limits.MANY_FACES_LIMIT_S)

    async def remove_expired(self, now: datetime) -> int:
        """See Store.remove_expired."""
        return await self._link.call(requests.RemoveExpired(now), limits.MANY_FACES_LIMIT_S)

    async def mark_seen(self, people: Sequence[tuple[str, str]], at: datetime) -> None:
        """See Store.mark_seen."""
        await self._link.call(people_requests.MarkSeen(people, at), limits.MANY_FACES_LIMIT_S)

    async def remove_unseen(self, before: datetime, now: datetime) -> int:
        """See Store.remove_unseen."""
        return await self._link.call(people_requests.RemoveUnseen(before, now), limits.MANY_FACES_LIMIT_S)

    async def count(self, *, gallery: str | None = None) -> int:
        """See Store.count."""
        return await self._link.call(requests.Count(gallery))

    async def people(
        self, limit: int, *, gallery: str, after: PersonKey | None = None, part: str | None = None
    ) -> tuple[list[Person], PersonKey | None]:
        """See Store.people; people that come or go meanwhile may or may not be seen, all others exactly once."""
        reader = people_reader(self._link, gallery, None if part is None else name_of(part))
        return await page(reader, limit, after)

    async def person(self, remark: str, *, gallery: str) -> Person | None:
        """See Store.person."""
        return await self._link.call(people_requests.FindPerson(remark, gallery))

    async def rename_person(self, remark: str, new: str, *, gallery: str) -> int:
        """See Store.rename_person; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return await self._link.call(people_requests.RenamePerson(remark, new, gallery), limits.MANY_FACES_LIMIT_S)

    async def remove_person(self, remark: str, *, gallery: str) -> int:
        """See Store.remove_person."""
        return await self._link.call(people_requests.RemovePerson(remark, gallery), limits.MANY_FACES_LIMIT_S)

    async def galleries(self) -> list[GalleryEntry]:
        """See Store.galleries."""
        return await self._link.call(people_requests.ListGalleries())

    async def create_gallery(self, name: str, created_at: datetime) -> bool:
        """See Store.create_gallery."""
        return await self._link.call(people_requests.CreateGallery(name, created_at), limits.MANY_FACES_LIMIT_S)

    async def remove_gallery(self, name: str) -> bool:
        """See Store.remove_gallery."""
        return await self._link.call(people_requests.RemoveGallery(name), limits.MANY_FACES_LIMIT_S)

    async def require_current(self) -> None:
        """See Store.require_current; nobody else can have it open."""

    async def figures(self) -> Figures:
        """See Store.figures."""
        return await self._link.call(requests.ReadFigures(), limits.FIGURES_LIMIT_S)

    async def probe_write(self) -> None:
        """See Store.probe_write; the folder must still be in its place, and something be written there."""
        await self._link.call(requests.ProbeWrite())

    async def findings(self) -> Findings:
        """What was found out as the gallery was opened for inspecting."""
        return await self._link.call(inspection.ReadFindings(), limits.MANY_FACES_LIMIT_S)

    async def inspect(self, cipher: GalleryCipher | None = None) -> AsyncIterator[dict[int, str]]:
        """Look at every face, limits.INSPECTED_AT_ONCE each time: in words, what is wrong with those that are damaged.

        `cipher` decrypts them where they are encrypted.
        """
        after: int | None = 0
        while after is not None:
            request = inspection.InspectPage(after=after, limit=limits.INSPECTED_AT_ONCE, cipher=cipher)
            wrong, after = await self._link.call(request, limits.MANY_FACES_LIMIT_S)
            yield wrong

    async def accept(self, damaged: Sequence[int]) -> int:
        """Forget damaged faces, and take the rest as whole; how many those are."""
        return await self._link.call(inspection.AcceptRest(damaged), limits.BIND_LIMIT_S)

    async def optimize(self, *, purge: bool = False) -> None:
        """See Store.optimize; no other call is answered meanwhile."""
        request = upkeep_requests.Purge() if purge else requests.Optimize()
        await self._link.call(request, limit_s=limits.OPTIMIZE_LIMIT_S)

    async def erasure(self) -> Erasure:
        """See Store.erasure."""
        return await self._link.call(upkeep_requests.ReadErasure())

    async def close(self) -> None:
        """See Store.close."""
        await self._link.close()

    async def kill(self) -> None:
        """End the process at once, as a crash does, and start no other."""
        await self._link.kill()
