"""Opens the gallery and the engine when the application starts, and closes them when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from aiohttp import web

from service import __version__
from service.gallery.loading import Load
from service.gallery.retention import retained
from service.http.current import Current, Opened
from service.http.gallery_size import GallerySize
from service.http.keys import ACTIVE_REQUESTS, CURRENT, METRICS, OVERVIEW, REQUEST_LOG, RETENTION
from service.http.lifetime import Lifetime, beside
from service.http.metrics import Metrics
from service.http.move_following import MoveFollower
from service.http.opened_gallery import opened_gallery
from service.http.overview import Overview, warned_of
from service.http.request_log import RequestLog
from service.settings import Settings
from service.values import Erasure

log = logging.getLogger(__name__)


def open_gallery_of(settings: Settings, load: Load) -> Lifetime:
    """What opens the gallery that `load` loads, and its engine, when the application starts; closes them at its end."""

    async def gallery(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            for each in warned_of(settings):
                log.warning("%s", each.detail)
            metrics = app[METRICS]
            follower = MoveFollower(settings, metrics, app[ACTIVE_REQUESTS].wait_for_begun)
            closing.push_async_callback(follower.close)
            opened = await follower.open(opened_gallery(settings, metrics, load))
            current = app[CURRENT] = Current(opened)
            app[OVERVIEW] = _overview(settings, current, app[REQUEST_LOG])
            size = _show(metrics, settings, current)
            closing.push_async_callback(size.close)
            faces = await opened.store.count()
            threshold = opened.galleries.rules.threshold_for(faces)
            log.info("Ready with %d faces; a match needs a score of %.3f.", faces, threshold)
            warming = asyncio.create_task(opened.engine.warm())
            opened.health.watch_warming(warming)
            async with (
                retained(opened.store, settings.retention_days, lambda: datetime.now(UTC)) as app[RETENTION],
                beside(follower.follow(current, app[RETENTION])),
            ):
                yield
            await asyncio.wait([warming])

    return gallery


def _overview(settings: Settings, current: Current, request_log: RequestLog) -> Overview:
    return Overview(
        settings=settings,
        photos_waiting=lambda: current.opened.engine.photos_waiting,
        crops_waiting=lambda: current.opened.engine.crops_waiting,
        recent=request_log.recent,
    )


def _show(metrics: Metrics, settings: Settings, current: Current) -> GallerySize:
    """Tell the metrics of what is open, whatever that is when they are asked."""
    metrics.show_build(version=__version__, model=current.opened.contract.model, precision=settings.precision)
    metrics.show_waiting(
        photos=lambda: current.opened.engine.photos_waiting, crops=lambda: current.opened.engine.crops_waiting
    )
    if current.opened.engine.gpu_memory_bytes is not None:
        metrics.show_gpu_memory(lambda: _gpu_memory(current.opened))
    metrics.show_moved(lambda: current.opened.moves.has_moved)

    async def count() -> int:
        return await current.opened.store.count()

    async def erasure() -> Erasure | None:
        return await current.opened.store.erasure()

    size = GallerySize(count, erasure=erasure)
    metrics.show_gallery_size(size)
    return size


def _gpu_memory(opened: Opened) -> int:
    return 0 if opened.engine.gpu_memory_bytes is None else opened.engine.gpu_memory_bytes()
