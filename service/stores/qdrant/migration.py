"""How the faces on a Qdrant server get another model: in a second collection, for which the alias stands in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.errors import StoreUnavailable
from service.picture_addresses import PictureAddresses
from service.stores.qdrant import aliases, collection, registry, shards, writable
from service.stores.qdrant.collection import CollectionSettings
from service.stores.qdrant.link import BULK_LIMIT_S, REQUEST_LIMIT_S, QdrantLink
from service.stores.qdrant.nodes import Connect
from service.stores.qdrant.store import QdrantStore
from service.values import ModelContract


class QdrantMigration:
    """See service.stores.store.Migration.

    Services with the old model go on answering from the old collection until they are restarted. What they register
    or remove once writes are blocked they answer with an error, so that nothing is promised which the new collection
    wouldn't have.
    """

    def __init__(
        self,
        connect: Connect,
        name: str,
        *,
        collection_settings: CollectionSettings,
        key_check: str | None = None,
        addresses: PictureAddresses | None = None,
    ) -> None:
        """`name` is the gallery's alias; `collection_settings` are those of the new collection.

        `key_check` is that of the key with which the gallery in use is encrypted; `addresses` gives each face of the
        new one that of its picture.
        """
        self._addresses = addresses
        self.old = QdrantStore(connect, name, collection_settings=CollectionSettings(key_check=key_check))
        self._link = QdrantLink(connect, request_limit_s=REQUEST_LIMIT_S)
        self._connect = connect
        self._name = name
        self._collection_settings = collection_settings
        self._old_name = self._new_name = ""
        self._dimension = 0
        self._new: QdrantStore | None = None
        self._switching = False

    async def open(self) -> ModelContract | None:
        """See Migration.open; also raises StoreUnavailable for a gallery whose name isn't an alias."""
        kept = await self.old.open()
        if kept is None:
            return None
        await self.old.bind(kept)
        self._link.open()
        found = await collection.find(self._link, self._name)
        if found is None or found.name == self._name:
            raise StoreUnavailable(
                f"{self._name} is a collection, not an alias for one, so no other can take its place; export it, and "
                "import it with another FACE_QDRANT_COLLECTION."
            )
        self._old_name, self._dimension = found.name, kept.dimension
        # The last try may have been killed while writes were blocked.
        await writable.open_for_writing(self._link, found.name, dimension=kept.dimension)
        return kept

    async def begin(self, contract: ModelContract) -> QdrantStore:
        """See Migration.begin."""
        self._new_name = await collection.create_without_alias(
            self._link, self._name, contract, self._collection_settings, face_id_bits=self.old.face_id_bits
        )
        await collection.make_writable(self._link, self._new_name, dimension=contract.dimension)
        self._new = QdrantStore(
            self._connect,
            self._new_name,
            collection_settings=self._collection_settings,
            addresses=self._addresses,
        )
        await self._new.open()
        await self._new.bind(contract)
        await self._take_galleries_over(self._new)
        return self._new

    @asynccontextmanager
    async def block_writes(self) -> AsyncIterator[None]:
        """See Migration.block_writes; raises StoreUnavailable while a copy is away or incomplete."""
        await self._require_whole()
        await writable.close_for_writing(self._link, self._old_name)
        try:
            yield
        finally:
            if not self._switching:  # else it may have been left, whatever the answer was
                await writable.open_for_writing(self._link, self._old_name, dimension=self._dimension)

    async def switch(self) -> str:
        """See Migration.switch; raises StoreUnavailable while a copy is away or incomplete."""
        if self._new is not None:
            await self._take_galleries_over(self._new)  # some may have come or gone since it was begun
        await self._require_whole()
        self._switching = True
        await aliases.give_name(self._link, self._name, self._new_name)
        return f"the collection {self._old_name}"

    @property
    def is_shared(self) -> bool:
        """See Migration.is_shared."""
        return True

    async def drop_old(self) -> None:
        """See Migration.drop_old."""
        await self._link.call(lambda client: client.delete_collection(self._old_name), BULK_LIMIT_S)

    async def _require_whole(self) -> None:
        """Raise StoreUnavailable where a comparison could miss a face that was answered as registered.

        What two of three copies have is seen as long as all are asked; of two that are left, it may be on one.
        """
        for real in (self._old_name, self._new_name):
            if not await shards.are_whole(self._link, real):
                raise StoreUnavailable(
                    f"A copy of a shard of Qdrant's collection {real} is away or incomplete, so the gallery keeps its "
                    "model for now; see that all of Qdrant's nodes run, and run the same command again."
                )

    async def _take_galleries_over(self, new: QdrantStore) -> None:
        kept, there = await registry.read(self.old.requests), await registry.read(new.requests)
        await registry.write(new.requests, {**dict.fromkeys(there), **kept})

    async def close(self) -> None:
        """See Migration.close."""
        for each in (self._new, self.old, self._link):
            if each is not None:
                await each.close()
