"""Puts the rooms together: settings in, a runnable aiohttp application out."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from aiohttp import web

from service import models, operator_api
from service.detector import Detector
from service.device_api import GALLERY, DeviceApi
from service.embedder import open_embedder
from service.engine import Engine, Limits
from service.gallery import Gallery, Rules
from service.health import Health
from service.images import readable_formats
from service.metrics import Metrics
from service.middlewares import account, answer_errors, show_request_id
from service.operator_api import HEALTH, METRICS
from service.settings import Settings
from service.stores import Store, open_store

log = logging.getLogger(__name__)

MAX_REQUEST_LINE = 64 * 1024
"""Bytes; a remark of the greatest length takes 12 KiB in the query."""
MAX_BATCH = 8
MAX_WAIT_S = 0.0


def create_app(settings: Settings) -> web.Application:
    """The application; models and gallery are opened and warmed before its socket is.

    Its start-up raises ModelUnavailable, ContractMismatch or StoreUnavailable, each with what to do.
    """
    metrics = Metrics()
    app = web.Application(
        middlewares=[account(metrics), answer_errors], handler_args={"max_line_size": MAX_REQUEST_LINE}
    )
    app.on_response_prepare.append(show_request_id)
    app[METRICS] = metrics
    app.add_routes(DeviceApi(settings.max_bytes, settings.delete_by_get).routes())
    app.add_routes(operator_api.routes())
    app.cleanup_ctx.append(_rooms(settings))
    return app


def _rooms(settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """What opens the gallery and the engine when the application starts, and closes them when it ends."""

    async def rooms(app: web.Application) -> AsyncIterator[None]:
        store = open_store(settings)
        try:
            engine = await _open(settings, store)
            try:
                rules = Rules(settings.min_score, settings.threshold, settings.picture_side)
                app[GALLERY] = Gallery(engine, store, rules, clock=lambda: datetime.now(UTC))
                app[HEALTH] = Health(engine, store)
                await app[HEALTH].probe()
                log.info("Ready with %d faces.", await store.count())
                warming = asyncio.create_task(engine.warm())
                yield
                await warming
            finally:
                await engine.close()
        finally:
            await store.close()

    return rooms


async def _open(settings: Settings, store: Store) -> Engine:
    """Open the gallery, and the engine with the model that the gallery was made with."""
    kept = await store.open()
    files = await asyncio.to_thread(models.prepare, settings.model, settings.weights, settings.models, kept)
    await store.bind(files.contract)
    threads = settings.threads or os.cpu_count() or 1
    detector = await asyncio.to_thread(Detector, files, threads, settings.min_face, settings.min_share)
    embedder = await asyncio.to_thread(open_embedder, files, settings.device, settings.precision, threads)
    limits = Limits(settings.max_bytes, settings.max_pixels, readable_formats(), settings.max_queue)
    return Engine(detector, embedder, limits, threads, MAX_BATCH, MAX_WAIT_S)
