"""Opens a gallery as it is, whatever its model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.faces import ModelContract
from service.settings import Settings
from service.stores import Store, open_store


@asynccontextmanager
async def opened_as_it_is(settings: Settings) -> AsyncIterator[tuple[Store, ModelContract | None]]:
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
