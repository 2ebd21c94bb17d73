"""Opens a gallery together with the model that its faces were made with, or alone where no photo will be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.errors import ModelUnavailable, StoreUnavailable
from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.contracts import describe
from service.stores.opening import may_be_there, open_store
from service.stores.store import Store
from service.values import ModelContract


async def open_gallery(settings: Settings, store: Store, *, create: bool = True) -> ModelFiles:
    """Open the store, and get the model that its faces were made with; that of the settings for a new gallery.

    A new gallery is made for that model, unless `create` is false: then the gallery stays as it was found, and
    takes no faces. Raises GalleryInUse, StoreUnavailable, ModelUnavailable or ContractMismatch.
    """
    kept = await store.open()
    files = await asyncio.to_thread(selection.prepare, settings, kept)
    if create:
        await store.bind(files.contract, face_id_bits=settings.id_bits)
    return files


async def open_moved_gallery(settings: Settings, store: Store) -> ModelFiles:
    """Like `open_gallery`, of a gallery that took another one's place while the service runs: nothing is made for it.

    Its model must be in the models folder, for converting one would take the memory and the time of those who are
    served. Raises StoreUnavailable, ModelUnavailable or ContractMismatch.
    """
    kept = await store.open()
    if kept is None:
        raise StoreUnavailable("what FACE_QDRANT_COLLECTION names has no model; see which collection it stands for.")
    if not await asyncio.to_thread(selection.is_at_hand, settings, kept):
        raise ModelUnavailable(
            f"{describe(kept)} is not in the models folder; restart the service, or run `python -m service prepare` "
            f"with FACE_MODEL={kept.model}."
        )
    files = await asyncio.to_thread(selection.prepare, settings, kept)
    await store.bind(files.contract)
    return files


@asynccontextmanager
async def open_existing(settings: Settings) -> AsyncIterator[tuple[Store, ModelContract | None]]:
    """The gallery of the settings and its contract; None where there is no gallery yet, and none is made.

    Raises GalleryInUse while a service has the embedded gallery open, StoreUnavailable.
    """
    store = open_store(settings)
    if not may_be_there(settings):
        yield store, None
        return
    try:
        contract = await store.open()
        if contract is not None:
            await store.bind(contract)
        yield store, contract
    finally:
        await store.close()
