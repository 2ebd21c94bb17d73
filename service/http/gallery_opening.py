"""Opens the gallery and the engine when the application starts, and closes them when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from aiohttp import web

from service import __version__
from service.gallery.expiry import remove_expired_faces
from service.gallery.galleries import Galleries
from service.gallery.opening import open_gallery
from service.gallery.photos import PhotoReader
from service.gallery.retention import retained
from service.http.gallery_size import GallerySize
from service.http.health import Health
from service.http.keys import GALLERIES, HEALTH, METRICS, OVERVIEW, PHOTO_READER, REQUEST_LOG, RETENTION, TRANSFER
from service.http.lifetime import Lifetime, beside
from service.http.metrics import Metrics
from service.http.move_watch import MoveWatch
from service.http.overview import Overview, warned_of
from service.http.request_log import RequestLog
from service.models.selection import ModelFiles
from service.moving.transfer import Transfer
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Store
from service.values import ModelContract
from service.vision.engine import Engine, open_engine

log = logging.getLogger(__name__)


def open_gallery_of(settings: Settings) -> Lifetime:
    """What opens the gallery and the engine when the application starts, and closes them when it ends."""

    async def gallery(app: web.Application) -> AsyncIterator[None]:
        store = open_store(settings, serves=True)
        try:
            files = await open_gallery(settings, store)
            for each in warned_of(settings):
                log.warning("%s", each.detail)
            engine = await _open_engine(settings, files, app[METRICS])
            size = GallerySize(store.count, erasure=store.erasure)
            try:
                moves = MoveWatch(store)
                app[HEALTH] = Health(engine, store, [each.detail for each in warned_of(settings)], moves=moves)
                app[METRICS].show_moved(lambda: moves.has_moved)
                _share(app, settings, engine, store, files.contract)
                app[METRICS].show_gallery_size(size)
                await app[HEALTH].probe()
                faces = await store.count()
                threshold = app[GALLERIES].rules.threshold_for(faces)
                log.info("Ready with %d faces; a match needs a score of %.3f.", faces, threshold)
                warming = asyncio.create_task(engine.warm())
                app[HEALTH].watch_warming(warming)
                async with (
                    beside(moves.watch()),
                    beside(remove_expired_faces(store, lambda: datetime.now(UTC))),
                    retained(store, settings.retention_days, lambda: datetime.now(UTC)) as app[RETENTION],
                ):
                    yield
                await asyncio.wait([warming])
            finally:
                if HEALTH in app:
                    await app[HEALTH].close()
                await size.close()
                await engine.close()
        finally:
            await store.close()

    return gallery


def _share(app: web.Application, settings: Settings, engine: Engine, store: Store, contract: ModelContract) -> None:
    """What handlers ask."""
    app[GALLERIES] = Galleries(engine, store, settings, contract.model, lambda: datetime.now(UTC))
    app[PHOTO_READER] = PhotoReader(engine, store, settings, contract)
    app[TRANSFER] = Transfer(store, contract, lambda: datetime.now(UTC))
    app[OVERVIEW] = _overview(settings, engine, app[REQUEST_LOG])


def _overview(settings: Settings, engine: Engine, request_log: RequestLog) -> Overview:
    return Overview(
        settings=settings,
        photos_waiting=lambda: engine.photos_waiting,
        crops_waiting=lambda: engine.crops_waiting,
        recent=request_log.recent,
    )


async def _open_engine(settings: Settings, files: ModelFiles, metrics: Metrics) -> Engine:
    """Open the engine with the model that the gallery was made with, and tell the metrics of it."""
    engine = await open_engine(settings, files, metrics.record_batch, metrics.record_stopped_decoding)
    metrics.show_build(version=__version__, model=files.contract.model, precision=settings.precision)
    metrics.show_waiting(photos=lambda: engine.photos_waiting, crops=lambda: engine.crops_waiting)
    if engine.gpu_memory_bytes is not None:
        metrics.show_gpu_memory(engine.gpu_memory_bytes)
    return engine
