"""Opens a gallery and the engine of its model, puts together what requests ask of them, and closes both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service.gallery.expiry import remove_expired_faces
from service.gallery.galleries import Galleries
from service.gallery.loading import Load
from service.gallery.photos import PhotoReader
from service.http.current import Opened
from service.http.health import Health
from service.http.lifetime import beside
from service.http.metrics import Metrics
from service.http.move_watch import MoveWatch
from service.http.overview import warned_of
from service.moving.transfer import Transfer
from service.settings import Settings
from service.stores.store import Store
from service.values import ModelContract
from service.vision.engine import Engine, engine_of


@asynccontextmanager
async def opened_gallery(settings: Settings, metrics: Metrics, load: Load) -> AsyncIterator[Opened]:
    """A gallery and its engine that have answered once, and whose faces go when their time is up, while it is open.

    What `load` raises passes through.
    """
    loaded = await load()
    store = loaded.store
    try:
        engine = engine_of(settings, loaded.networks, metrics.record_batch, metrics.record_stopped_decoding)
        try:
            opened = _put_together(settings, engine, store, loaded.files.contract)
            try:
                await opened.health.probe()
                async with beside(remove_expired_faces(store, lambda: datetime.now(UTC))):
                    yield opened
            finally:
                await opened.health.close()
        finally:
            await engine.close()
    finally:
        await store.close()


def _put_together(settings: Settings, engine: Engine, store: Store, contract: ModelContract) -> Opened:
    moves = MoveWatch(store)
    return Opened(
        engine=engine,
        store=store,
        contract=contract,
        galleries=Galleries(engine, store, settings, contract.model, lambda: datetime.now(UTC)),
        photo_reader=PhotoReader(engine, store, settings, contract),
        transfer=Transfer(store, contract, lambda: datetime.now(UTC)),
        health=Health(engine, store, [each.detail for each in warned_of(settings)], moves=moves),
        moves=moves,
    )
