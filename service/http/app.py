"""Puts the parts together: settings in, a runnable aiohttp application out."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from service import __version__
from service.devices.keys import KeyRegistry
from service.devices.registry import DeviceRegistry
from service.devices.replay import ReplayMemory, make_replay_memory
from service.gallery.expiry import remove_expired_faces
from service.gallery.galleries import Galleries
from service.gallery.opening import open_gallery
from service.gallery.photos import PhotoReader
from service.http.active_requests import ActiveRequests
from service.http.authentication import admit_anybody, authenticate
from service.http.console.pages import console_routes
from service.http.cors import allow_origins
from service.http.device_api import DeviceApi
from service.http.forms import FormLimits
from service.http.gallery_size import GallerySize
from service.http.health import Health
from service.http.keys import (
    ACTIVE_REQUESTS,
    CERTIFICATE,
    GALLERIES,
    HEALTH,
    METRICS,
    OVERVIEW,
    PHOTO_READER,
    REMARK_CHARSET,
    REQUEST_LOG,
    TRANSFER,
)
from service.http.metrics import Metrics
from service.http.middlewares import answer_errors, mark_answer, record_requests
from service.http.move_watch import MoveWatch
from service.http.operator_api import operator_routes
from service.http.overview import Overview, standing_warnings
from service.http.request_heads import MAX_HEADER, MAX_REQUEST_LINE
from service.http.request_log import RequestLog
from service.http.rest_api.table import rest_routes
from service.http.signed_requests import SignatureCheck
from service.http.tls import open_certificate
from service.models.selection import ModelFiles
from service.moving.transfer import Transfer
from service.settings import Settings
from service.stores.opening import open_store
from service.vision.engine import Engine, open_engine

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> web.Application:
    """The application, for connections.Runner; models and gallery are opened and warmed before its socket is.

    Raises InvalidDevices, InvalidKeys or InvalidSettings at once where nobody could be let in. Its start-up raises
    ModelUnavailable, ContractMismatch, StoreUnavailable or NoncesUnavailable. Each says what to do.
    """
    metrics, active_requests = Metrics(), ActiveRequests()
    request_log = RequestLog(metrics, settings.trusted_proxies)
    limits = FormLimits(max_image_bytes=settings.max_bytes, receive_s=settings.receive_s)
    app = web.Application(
        middlewares=[record_requests(request_log, active_requests), answer_errors],
        # A connection on which no whole head of a request comes is idle, too.
        handler_args={
            "max_line_size": MAX_REQUEST_LINE,
            "max_field_size": MAX_HEADER,
            "keepalive_timeout": float(settings.receive_s),
            "auto_decompress": False,  # what is compressed is refused
        },
    )
    app.on_response_prepare.append(mark_answer)
    app[METRICS], app[REQUEST_LOG], app[ACTIVE_REQUESTS] = metrics, request_log, active_requests
    app[REMARK_CHARSET] = settings.remark_charset
    app.add_routes(DeviceApi(limits, delete_by_get=settings.delete_by_get).routes())
    app.add_routes(rest_routes(limits))
    app.add_routes(operator_routes())
    if settings.console:
        app.add_routes(console_routes())
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    certificate = open_certificate(settings.tls_cert, settings.tls_key)
    app[CERTIFICATE] = certificate
    _ask_who_is_there(app, settings, limits, reloads=[] if certificate is None else [certificate.reload])
    app.cleanup_ctx.append(_open_gallery(settings))
    return app


def _ask_who_is_there(
    app: web.Application, settings: Settings, limits: FormLimits, *, reloads: list[Callable[[], None]]
) -> None:
    """Let only those in who sign as a device or bring a key, where settings name files of them; they are watched.

    `reloads` is what SIGHUP has read again beside those.
    """
    files: list[DeviceRegistry | KeyRegistry] = []
    check, keys = None, None
    if settings.devices is not None:
        devices, memory = (
            DeviceRegistry(settings.devices),
            make_replay_memory(settings.nonces_url, settings.device_rate),
        )
        check = SignatureCheck(devices=devices, memory=memory, limits=limits, clock=time.time)
        files.append(devices)
        app.cleanup_ctx.append(_open_memory(memory))
    if settings.keys is not None:
        keys = KeyRegistry(settings.keys)
        files.append(keys)
    app.middlewares.append(authenticate(check, keys) if files else admit_anybody)
    app.cleanup_ctx.append(_watch(files, [*reloads, *(each.reload for each in files)]))


def _open_memory(memory: ReplayMemory) -> Callable[[web.Application], AsyncIterator[None]]:
    async def opened(_: web.Application) -> AsyncIterator[None]:
        try:
            await memory.open()
            yield
        finally:
            await memory.close()

    return opened


def _watch(
    files: Sequence[DeviceRegistry | KeyRegistry], reloads: Sequence[Callable[[], None]]
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Takes up the files' changes as they come, and on SIGHUP whatever can be read again."""

    def reload() -> None:
        for each in reloads:
            each()

    async def watched(_: web.Application) -> AsyncIterator[None]:
        loop, watching = asyncio.get_running_loop(), [asyncio.create_task(each.watch()) for each in files]
        if reloads:
            loop.add_signal_handler(signal.SIGHUP, reload)
        yield
        if reloads:
            loop.remove_signal_handler(signal.SIGHUP)
        for each in watching:
            each.cancel()

    return watched


def _open_gallery(settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """What opens the gallery and the engine when the application starts, and closes them when it ends."""

    async def gallery(app: web.Application) -> AsyncIterator[None]:
        store = open_store(settings)
        try:
            files = await open_gallery(settings, store)
            warnings = [each.detail for each in standing_warnings(settings)]
            for each in warnings:
                log.warning("%s", each)
            engine = await _open_engine(settings, files, app[METRICS])
            size = GallerySize(store.count)
            try:
                galleries = Galleries(engine, store, settings, files.contract.model, lambda: datetime.now(UTC))
                app[GALLERIES] = galleries
                app[PHOTO_READER] = PhotoReader(engine, store, settings, files.contract)
                app[TRANSFER] = Transfer(store, files.contract, lambda: datetime.now(UTC))
                moves = MoveWatch(store)
                app[HEALTH] = Health(engine, store, warnings, moves=moves)
                app[METRICS].show_moved(lambda: moves.has_moved)
                app[OVERVIEW] = _overview(settings, engine, app[REQUEST_LOG])
                app[METRICS].show_gallery_size(size)
                await app[HEALTH].probe()
                faces = await store.count()
                log.info(
                    "Ready with %d faces; a match needs a score of %.3f.", faces, galleries.rules.threshold_for(faces)
                )
                warming = asyncio.create_task(engine.warm())
                async with _beside(moves.watch()), _beside(remove_expired_faces(store, lambda: datetime.now(UTC))):
                    yield
                await warming
            finally:
                await size.close()
                await engine.close()
        finally:
            await store.close()

    return gallery


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have the work done as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _overview(settings: Settings, engine: Engine, request_log: RequestLog) -> Overview:
    return Overview(
        settings=settings,
        photos_waiting=lambda: engine.photos_waiting,
        crops_waiting=lambda: engine.crops_waiting,
        recent=request_log.recent,
    )


async def _open_engine(settings: Settings, files: ModelFiles, metrics: Metrics) -> Engine:
    """Open the engine with the model that the gallery was made with, and tell the metrics of it."""
    engine = await open_engine(settings, files, metrics.record_batch)
    metrics.show_build(version=__version__, model=files.contract.model, precision=settings.precision)
    metrics.show_waiting(photos=lambda: engine.photos_waiting, crops=lambda: engine.crops_waiting)
    return engine
