"""How the embedded gallery gets another model: in a folder beside it, which takes its place in the end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.errors import WrongEncryptionKey
from service.stores.edge.folder import is_there, replace_gallery, undo_replacement
from service.stores.edge.store import EdgeStore
from service.values import ModelContract


class EdgeMigration:
    """See service.stores.store.Migration; nobody else can change the gallery while this has it open."""

    def __init__(self, folder: Path, *, key_check: str | None = None, new_key_check: str | None = None) -> None:
        """`folder` is the gallery's; the new one grows in `<folder>.new`. Each has the check of its own key."""
        self.old = EdgeStore(folder, key_check=key_check)
        self._new_key_check = new_key_check
        self._folder = folder
        self._draft = folder.with_name(f"{folder.name}.new")
        self._new: EdgeStore | None = None
        self._left: Path | None = None

    async def open(self) -> ModelContract | None:
        """See Migration.open; also raises GalleryInUse while a service runs."""
        if not is_there(self._folder):
            return None
        kept = await self.old.open()
        if kept is not None:
            await self.old.bind(kept)
        return kept

    async def begin(self, contract: ModelContract) -> EdgeStore:
        """See Migration.begin."""
        undo_replacement(self._folder, self._draft)
        self._new = self._open_draft()
        try:
            is_other = await self._new.open() not in (None, contract)
        except WrongEncryptionKey:
            is_other = True
        if is_other:  # begun for a third model or key, and never finished
            await self._new.close()
            await asyncio.to_thread(shutil.rmtree, self._draft)
            self._new = self._open_draft()
            await self._new.open()
        await self._new.bind(contract, face_id_bits=self.old.face_id_bits)
        await self._bring_galleries(self._new)
        return self._new

    def _open_draft(self) -> EdgeStore:
        return EdgeStore(self._draft, key_check=self._new_key_check)

    async def _bring_galleries(self, new: EdgeStore) -> None:
        """Make the new store's galleries those of the old one; an earlier try may have brought some that went since."""
        wanted = (await self.old.galleries())[1:]
        for each in await new.galleries():
            if each.created_at is not None and each not in wanted:
                await new.remove_gallery(each.name)
        for each in wanted:
            if each.created_at is not None:
                await new.create_gallery(each.name, each.created_at)

    @asynccontextmanager
    async def block_writes(self) -> AsyncIterator[None]:
        """See Migration.block_writes."""
        yield

    async def switch(self) -> str:
        """See Migration.switch."""
        await self.close()
        self._left = await asyncio.to_thread(replace_gallery, self._folder, self._draft)
        return f"the folder {self._left}"

    @property
    def is_shared(self) -> bool:
        """See Migration.is_shared."""
        return False

    async def drop_old(self) -> None:
        """See Migration.drop_old."""
        if self._left is not None:
            await asyncio.to_thread(shutil.rmtree, self._left)

    async def close(self) -> None:
        """See Migration.close."""
        for each in (self._new, self.old):
            if each is not None:
                await each.close()
