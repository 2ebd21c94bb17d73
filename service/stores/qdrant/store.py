"""The shared store: a collection on a Qdrant server or cluster, for any number of services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from service.errors import StoreUnavailable
from service.picture_addresses import PictureAddresses
from service.stores.contracts import require, require_key
from service.stores.listing import Key, Stamp
from service.stores.payload import to_changes
from service.stores.people import PersonKey
from service.stores.qdrant import (
    adding,
    collection,
    filters,
    people,
    reading,
    registry,
    seen,
    shards,
    upgrade,
    writable,
)
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.link import BULK_LIMIT_S, REQUEST_LIMIT_S, QdrantLink
from service.stores.qdrant.nodes import Connect
from service.stores.qdrant.requests import Requests
from service.stores.qdrant.versions import OLDEST, read_version
from service.stores.store import Added, Figures
from service.values import Embedding, Erasure, FaceChanges, GalleryEntry, ModelContract, Nearest, Person, StoredFace


class QdrantStore:
    """See service.stores.store.Store.

    Every request can be repeated, which QdrantLink does: reading changes nothing, adding leaves alone what is there
    and knows its own additions, and removing is done once it is done. The alias is looked up when the gallery is
    opened; from then on its collection is asked by its real name, so that a service keeps to the vectors of its own
    model while another is put in place. Writes after that would be lost: each looks, when it is done, whether its
    collection is still in use (writable.py), and fails where it isn't.
    """

    def __init__(
        self,
        connect: Connect,
        name: str,
        *,
        collection_settings: CollectionSettings | None = None,
        addresses: PictureAddresses | None = None,
        request_limit_s: float = REQUEST_LIMIT_S,
    ) -> None:
        """`name` is an alias, or the name of a collection; `collection_settings` are those of a new one, and
        `addresses` gives each face that is added one of its picture.
        """
        self._addresses = addresses
        self._link = QdrantLink(connect, request_limit_s=request_limit_s)
        self._name = name
        self._collection_settings = collection_settings or CollectionSettings()
        self._bound: Requests | None = None
        self._face_id_bits = 0
        self._version = OLDEST

    async def open(self) -> ModelContract | None:
        """See Store.open; also raises StoreUnavailable for a server that is too old."""
        self._link.open()
        self._version = await read_version(self._link)
        if (found := await collection.find(self._link, self._name)) is None or found.contract is None:
            return None
        require_key(found.key_check, self._collection_settings.key_check)
        return found.contract

    async def bind(self, contract: ModelContract, *, face_id_bits: int = 31) -> None:
        """See Store.bind; a collection of that name without faces and contract is taken as it is."""
        wanted = self._collection_settings
        if await collection.find(self._link, self._name) is None:
            await collection.create(self._link, self._name, contract, wanted, face_id_bits=face_id_bits)
        found = await collection.find_made(self._link, self._name)
        await shards.wait_until_active(self._link, found.name)
        if found.contract is None:
            metadata = collection.new_metadata(contract, face_id_bits, wanted.key_check)
            await collection.write_contract(self._link, found, contract, metadata)
            found = await collection.find_made(self._link, self._name)
        else:
            require(found.contract, contract, elsewhere="name another gallery with FACE_QDRANT_COLLECTION")
            require_key(found.key_check, wanted.key_check)
        if not found.was_opened and found.name != self._name:
            await collection.make_writable(self._link, found.name, dimension=contract.dimension)
        requests = Requests(self._link, name=self._name, real=found.name, addresses=self._addresses)
        await upgrade.bring_up_to_date(requests, found)
        self._face_id_bits = found.face_id_bits
        self._bound = requests

    @property
    def face_id_bits(self) -> int:
        """See Store.face_id_bits; raises StoreUnavailable before it is bound."""
        _ = self.requests
        return self._face_id_bits

    @property
    def node(self) -> str | None:
        """See Store.node."""
        return self._link.nodes.address

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """See Store.add; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return (await adding.add(self.requests, [(face, embedding)], limit_s=None))[0]

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """See Store.add_many; raises ValueError like `add`, and adds none then."""
        return await adding.add(self.requests, faces, limit_s=BULK_LIMIT_S)

    async def search(
        self, embedding: Embedding, limit: int, *, gallery: str, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """See Store.search; exact within a remark."""
        return await reading.search(self.requests, embedding, limit, gallery=gallery, people=people, remark=remark)

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
        return reading.scan(self.requests, offset, limit, gallery=gallery, after=after, remark=remark)

    def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """See Store.scan_embedded; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        return reading.scan_embedded(self.requests, after)

    def scan_keys(self, after: int = 0) -> AsyncIterator[Stamp]:
        """See Store.scan_keys; faces that come or go meanwhile may or may not be seen, all others exactly once."""
        return reading.scan_keys(self.requests, after)

    async def fetch(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, StoredFace]:
        """See Store.fetch."""
        return await reading.fetch(self.requests, face_ids, gallery=gallery)

    async def embeddings(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, Embedding]:
        """See Store.embeddings."""
        return await reading.embeddings(self.requests, face_ids, gallery=gallery)

    async def change(self, face_id: int, changes: FaceChanges, *, gallery: str) -> bool:
        """See Store.change; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        payload = to_changes(changes, gallery=gallery)
        async with self._link.within(None):
            if not await reading.is_there(self.requests, face_id, gallery=gallery):
                return False
            await self.requests.set_payload(filters.numbered([face_id], gallery=gallery), payload)
            return True

    async def remove(self, face_id: int, *, gallery: str | None) -> bool:
        """See Store.remove; of two calls at the same moment both may return True."""
        async with self._link.within(None):
            there = await reading.is_there(self.requests, face_id, gallery=gallery)
            # Whatever was found: a copy may have it that was not asked.
            await self.requests.delete(filters.numbered([face_id], gallery=gallery))
            return there

    async def ids(self, *, gallery: str, device_id: str | None, after: int, limit: int) -> list[int]:
        """See Store.ids."""
        return await reading.ids(self.requests, filters.of_device(gallery, device_id), after=after, limit=limit)

    async def remove_many(self, face_ids: Sequence[int], *, gallery: str) -> None:
        """See Store.remove_many."""
        await self.requests.delete(filters.numbered(face_ids, gallery=gallery), BULK_LIMIT_S)

    async def remove_expired(self, now: datetime) -> int:
        """See Store.remove_expired."""
        return await self.requests.delete_counted(filters.expired(now))

    async def mark_seen(self, people: Sequence[tuple[str, str]], at: datetime) -> None:
        """See Store.mark_seen."""
        await seen.mark(self.requests, people, at)

    async def remove_unseen(self, before: datetime, now: datetime) -> int:
        """See Store.remove_unseen."""
        return await seen.remove_unseen(self.requests, before, now)

    async def count(self, *, gallery: str | None = None) -> int:
        """See Store.count."""
        return await (self.requests.count_all() if gallery is None else self.requests.count(filters.only(gallery)))

    async def require_current(self) -> None:
        """See Store.require_current."""
        if not await writable.is_in_use(self._link, name=self._name, real=self.requests.real):
            raise writable.moved()

    async def people(
        self, limit: int, *, gallery: str, after: PersonKey | None = None, part: str | None = None
    ) -> tuple[list[Person], PersonKey | None]:
        """See Store.people; people that come or go meanwhile may or may not be seen, all others exactly once."""
        finds_parts = self._version >= people.FINDS_PARTS
        return await people.people(
            self.requests, limit, gallery=gallery, after=after, part=part, finds_parts=finds_parts
        )

    async def person(self, remark: str, *, gallery: str) -> Person | None:
        """See Store.person."""
        return await people.find(self.requests, remark, gallery=gallery)

    async def rename_person(self, remark: str, new: str, *, gallery: str) -> int:
        """See Store.rename_person; raises ValueError for a remark that is not Unicode text (a lone surrogate)."""
        return await people.rename(self.requests, remark, new, gallery=gallery)

    async def remove_person(self, remark: str, *, gallery: str) -> int:
        """See Store.remove_person."""
        return await people.remove(self.requests, remark, gallery=gallery)

    async def galleries(self) -> list[GalleryEntry]:
        """See Store.galleries."""
        return await registry.galleries(self.requests)

    async def create_gallery(self, name: str, created_at: datetime) -> bool:
        """See Store.create_gallery."""
        return await registry.create(self.requests, name, created_at)

    async def remove_gallery(self, name: str) -> bool:
        """See Store.remove_gallery."""
        return await registry.remove(self.requests, name)

    async def figures(self) -> Figures:
        """See Store.figures."""
        return await reading.figures(self.requests)

    async def erasure(self) -> Erasure | None:
        """See Store.erasure; a server erases by itself, and doesn't tell when."""
        return None

    async def probe_write(self) -> None:
        """See Store.probe_write; a server refuses what it can't write, and its operator probes it."""

    async def optimize(self, *, purge: bool = False) -> None:
        """See Store.optimize; Qdrant does it by itself, in the background."""

    async def close(self) -> None:
        """See Store.close."""
        await self._link.close()

    @property
    def requests(self) -> Requests:
        """To the collection that it is bound to. Raises StoreUnavailable before."""
        if self._bound is None:
            raise StoreUnavailable("The gallery has not been bound to a model yet.")
        return self._bound
