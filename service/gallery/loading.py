"""Opens a gallery's store and compiles its model's networks: what takes long at a start, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.errors import FaceServiceError
from service.gallery.opening import open_gallery
from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.opening import likely_contract, open_store
from service.stores.store import Store
from service.values import ModelContract
from service.vision.embedder import uses_gpu
from service.vision.loading import Networks, load_networks


@dataclass(frozen=True, slots=True)
class Loaded:
    """A store that is open, the files of its model, and their networks."""

    store: Store
    files: ModelFiles
    networks: Networks


Load = Callable[[], Awaitable[Loaded]]
"""What opens a gallery's store and compiles its networks; it raises what `load` raises."""


async def load(
    settings: Settings, open_with_model: Callable[[Settings, Store], Awaitable[ModelFiles]] = open_gallery
) -> Loaded:
    """One after another. `open_with_model` opens the store and says which model its faces were made with.

    Raises what that and load_networks raise.
    """
    store = open_store(settings, serves=True)
    try:
        files = await open_with_model(settings, store)
        return Loaded(store, files, await asyncio.to_thread(load_networks, settings, files))
    except BaseException:
        await store.close()
        raise


async def load_at_once(settings: Settings) -> Loaded:
    """Like `load`, while the networks of the model that the gallery is likely to have are compiled.

    What isn't at hand, and what turns out to be needed instead, is made ready when the store is open.
    """
    # Handed to its thread at once: the first thing that loads a store is imports.
    compiling = asyncio.get_running_loop().run_in_executor(None, _compile_likely, settings)
    store: Store | None = None
    try:
        store = open_store(settings, serves=True)
        kept = await store.open()
        likely = await compiling
        if likely is not None and likely.kept != kept:
            likely.networks.release()
            likely = None
        files = await asyncio.to_thread(selection.prepare, settings, kept) if likely is None else likely.files
        await store.bind(files.contract, face_id_bits=settings.id_bits)
        networks = await asyncio.to_thread(load_networks, settings, files) if likely is None else likely.networks
        return Loaded(store, files, networks)
    except BaseException:
        await asyncio.wait([compiling])
        if not compiling.cancelled() and (unused := compiling.result()) is not None:
            unused.networks.release()
        if store is not None:
            await store.close()
        raise


@dataclass(frozen=True, slots=True)
class _Likely:
    """Networks that were compiled for a gallery of the contract `kept`, before it was open."""

    kept: ModelContract | None
    files: ModelFiles
    networks: Networks


def _compile_likely(settings: Settings) -> _Likely | None:
    """None where something must be fetched or converted first, or isn't right: who opens the store will be told."""
    try:
        kept = likely_contract(settings)
        files = selection.at_hand(settings, kept, weights=uses_gpu(settings.compute))
        if files is None:
            return None
        networks = load_networks(settings, files)
        networks.compile_for_first()
        return _Likely(kept, files, networks)
    except (FaceServiceError, OSError):
        return None
