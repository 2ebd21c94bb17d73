"""How the embedded gallery gets another model: in a folder beside it, which takes its place in the end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.faces import ModelContract
from service.stores import edge_folder
from service.stores.edge import EdgeStore


class EdgeSuccession:
    """See service.stores.Succession; nobody else can change the gallery while this has it open."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the gallery's; the new one grows in `<folder>.new`."""
        self.old = EdgeStore(folder)
        self._folder = folder
        self._draft = folder.with_name(f"{folder.name}.new")
        self._new: EdgeStore | None = None

    async def open(self) -> ModelContract | None:
        """See Succession.open; also raises GalleryInUse while a service runs."""
        kept = await self.old.open()
        if kept is not None:
            await self.old.bind(kept)
        return kept

    async def begin(self, contract: ModelContract) -> EdgeStore:
        """See Succession.begin."""
        edge_folder.take_back(self._folder, self._draft)
        self._new = EdgeStore(self._draft)
        kept = await self._new.open()
        if kept not in (None, contract):  # begun for a third model, and never finished
            await self._new.close()
            await asyncio.to_thread(shutil.rmtree, self._draft)
            self._new = EdgeStore(self._draft)
            await self._new.open()
        await self._new.bind(contract)
        return self._new

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """See Succession.hold."""
        yield

    async def switch(self, drop_old: bool) -> str:
        """See Succession.switch."""
        await self.close()
        before = await asyncio.to_thread(edge_folder.exchange, self._folder, self._draft)
        if drop_old:
            await asyncio.to_thread(shutil.rmtree, before)
        return f"the folder {before}"

    async def close(self) -> None:
        """See Succession.close."""
        for each in (self._new, self.old):
            if each is not None:
                await each.close()
