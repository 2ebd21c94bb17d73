"""Opens a gallery together with the model that its faces were made with, or as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Store
from service.values import ModelContract


async def prepare_model(settings: Settings, store: Store) -> ModelFiles:
    """Open the store, and get the model that its faces were made with; that of the settings for a new gallery.

    Raises StoreUnavailable or ModelUnavailable.
    """
    kept = await store.open()
    return await asyncio.to_thread(selection.prepare, settings, kept)


@asynccontextmanager
async def open_as_is(settings: Settings) -> AsyncIterator[tuple[Store, ModelContract | None]]:
    """The gallery of the settings and its contract; None where there is no gallery yet, and none is made.

    Raises GalleryInUse while a service has the embedded gallery open, StoreUnavailable.
    """
    store = open_store(settings)
    try:
        contract = await store.open()
        if contract is not None:
            await store.bind(contract)
        yield store, contract
    finally:
        await store.close()
