"""Puts the rooms together: settings in, a runnable aiohttp application out."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from service.devices.rates import Rates
from service.devices.registry import DeviceRegistry
from service.devices.replay import make_nonces
from service.gallery.gallery import Gallery, Rules
from service.gallery.opening import prepare_model
from service.http import operator_api
from service.http.active_requests import ActiveRequests
from service.http.authentication import authenticate
from service.http.device_api import GALLERY, DeviceApi
from service.http.forms import FormLimits
from service.http.health import Health
from service.http.metrics import Metrics
from service.http.middlewares import account, answer_errors, show_request_id
from service.http.operator_api import HEALTH, METRICS
from service.http.serving import ACTIVE_REQUESTS
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Store
from service.vision.engine import Engine, open_engine

log = logging.getLogger(__name__)

MAX_REQUEST_LINE = 64 * 1024
"""Bytes; a remark of the greatest length takes 12 KiB in the query."""


def create_app(settings: Settings) -> web.Application:
    """The application; models and gallery are opened and warmed before its socket is.

    Raises InvalidDevices or InvalidSettings at once where nobody could be let in. Its start-up raises ModelUnavailable,
    ContractMismatch, StoreUnavailable or NoncesUnavailable. Each says what to do.
    """
    metrics, active_requests = Metrics(), ActiveRequests()
    limits = FormLimits(settings.max_bytes, settings.receive_s)
    app = web.Application(
        middlewares=[account(metrics, active_requests), answer_errors],
        # A connection on which no whole head of a request comes is idle, too.
        handler_args={"max_line_size": MAX_REQUEST_LINE, "keepalive_timeout": float(settings.receive_s)},
    )
    app.on_response_prepare.append(show_request_id)
    app[METRICS], app[ACTIVE_REQUESTS] = metrics, active_requests
    app.add_routes(DeviceApi(limits, settings.delete_by_get).routes())
    app.add_routes(operator_api.routes())
    if settings.devices is not None:
        _lock(app, settings.devices, settings, limits)
    app.cleanup_ctx.append(_rooms(settings))
    return app


def _lock(app: web.Application, path: Path, settings: Settings, limits: FormLimits) -> None:
    """Let only those in who sign as one of the devices of the file at `path`, which is watched from the start on."""
    devices, nonces = DeviceRegistry(path), make_nonces(settings.nonces_url)
    rates = Rates(settings.device_rate, time.monotonic)
    app.middlewares.append(authenticate(devices, nonces, rates, limits, time.time))

    async def open_nonces(_: web.Application) -> AsyncIterator[None]:
        try:
            await nonces.open()
            yield
        finally:
            await nonces.close()

    async def watch_devices(_: web.Application) -> AsyncIterator[None]:
        loop, watching = asyncio.get_running_loop(), asyncio.create_task(devices.watch())
        loop.add_signal_handler(signal.SIGHUP, devices.reload)
        yield
        loop.remove_signal_handler(signal.SIGHUP)
        watching.cancel()

    app.cleanup_ctx.extend([open_nonces, watch_devices])


def _rooms(settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """What opens the gallery and the engine when the application starts, and closes them when it ends."""

    async def rooms(app: web.Application) -> AsyncIterator[None]:
        store = open_store(settings)
        try:
            engine = await _open(settings, store)
            try:
                rules = Rules(
                    min_score=settings.min_score, threshold=settings.threshold, picture_side=settings.picture_side
                )
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
    files = await prepare_model(settings, store)
    await store.bind(files.contract)
    return await open_engine(settings, files)
