"""Puts the rooms together: settings in, a runnable aiohttp application out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from aiohttp import web

from service import operator_api
from service.device_api import GALLERY, DeviceApi
from service.engine import Engine, open_engine
from service.gallery import Gallery, Rules, open_with_model
from service.health import Health
from service.in_hand import InHand
from service.metrics import Metrics
from service.middlewares import account, answer_errors, show_request_id
from service.operator_api import HEALTH, METRICS
from service.serving import IN_HAND
from service.settings import Settings
from service.stores import Store, open_store

log = logging.getLogger(__name__)

MAX_REQUEST_LINE = 64 * 1024
"""Bytes; a remark of the greatest length takes 12 KiB in the query."""


def create_app(settings: Settings) -> web.Application:
    """The application; models and gallery are opened and warmed before its socket is.

    Its start-up raises ModelUnavailable, ContractMismatch or StoreUnavailable, each with what to do.
    """
    metrics, in_hand = Metrics(), InHand()
    app = web.Application(
        middlewares=[account(metrics, in_hand), answer_errors], handler_args={"max_line_size": MAX_REQUEST_LINE}
    )
    app.on_response_prepare.append(show_request_id)
    app[METRICS], app[IN_HAND] = metrics, in_hand
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
    files = await open_with_model(settings, store)
    await store.bind(files.contract)
    return await open_engine(settings, files)
