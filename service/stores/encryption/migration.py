"""A migration between galleries of which one or both are encrypted, each with a key of its own."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from service.stores.encryption.cipher import GalleryCipher
from service.stores.encryption.store import EncryptedStore
from service.stores.store import Migration, Store
from service.values import ModelContract


class EncryptedMigration:
    """See service.stores.store.Migration; faces are read and added in clear."""

    def __init__(self, kept: Migration, *, old: GalleryCipher | None, new: GalleryCipher | None) -> None:
        """`kept` must have been made for the key checks of the two; None: that gallery is in clear."""
        self._kept = kept
        self._new_cipher = new
        self.old = _with(kept.old, old)

    async def open(self) -> ModelContract | None:
        """See Migration.open; also raises WrongEncryptionKey."""
        return await self._kept.open()

    async def begin(self, contract: ModelContract) -> Store:
        """See Migration.begin."""
        return _with(await self._kept.begin(contract), self._new_cipher)

    def block_writes(self) -> AbstractAsyncContextManager[None]:
        """See Migration.block_writes."""
        return self._kept.block_writes()

    async def switch(self) -> str:
        """See Migration.switch."""
        return await self._kept.switch()

    @property
    def is_shared(self) -> bool:
        """See Migration.is_shared."""
        return self._kept.is_shared

    async def drop_old(self) -> None:
        """See Migration.drop_old."""
        await self._kept.drop_old()

    async def close(self) -> None:
        """See Migration.close."""
        await self._kept.close()


def _with(store: Store, cipher: GalleryCipher | None) -> Store:
    return store if cipher is None else EncryptedStore(store, cipher)
