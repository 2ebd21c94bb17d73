"""Follows a gallery that moves to another model: loads that beside the one in use, and lets it take its place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial

from service import __version__
from service.errors import FaceServiceError, NotReady
from service.gallery.loading import load
from service.gallery.opening import open_moved_gallery
from service.gallery.retention import Retention
from service.http.current import Current, Opened
from service.http.metrics import Metrics
from service.http.opened_gallery import opened_gallery
from service.settings import Settings
from service.stores.contracts import describe

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""Pause before what could not be taken up is tried again: somebody may have brought the model's files meanwhile."""


class MoveFollower:
    """Opens galleries one after another, each until the requests that began with it have ended.

    While two are open the networks are in memory twice.
    """

    def __init__(self, settings: Settings, metrics: Metrics, wait_for_requests: Callable[[], Awaitable[None]]) -> None:
        """`wait_for_requests` returns once all requests have ended that are active when it is called."""
        self._settings = settings
        self._metrics = metrics
        self._wait_for_requests = wait_for_requests
        self._closing = AsyncExitStack()

    async def open(self, gallery: AbstractAsyncContextManager[Opened]) -> Opened:
        """The first gallery; closed by `close`, or once another one has taken its place."""
        return await self._closing.enter_async_context(gallery)

    async def close(self) -> None:
        """Close the gallery that is open."""
        await self._closing.aclose()

    async def follow(self, current: Current, retention: Retention | None = None) -> None:
        """Until cancelled: notice that the gallery has moved, take up what took its place, and close the former."""
        while True:
            await current.opened.moves.watch()
            closing, opened = await self._take_up(current.opened)
            former, self._closing = self._closing, closing
            # No `await` from here to there: a request gets the one or the other.
            current.opened = opened
            if retention is not None:
                retention.use(opened.store)
            self._metrics.show_build(
                version=__version__, model=opened.contract.model, precision=self._settings.precision
            )
            log.info("The gallery's new model is in use: %s.", describe(opened.contract))
            async with former:
                await self._wait_for_requests()
            log.info("The gallery's former model is closed.")

    async def _take_up(self, old: Opened) -> tuple[AsyncExitStack, Opened]:
        """Try until it succeeds; why it doesn't is told by the old gallery's readiness."""
        while True:
            closing = AsyncExitStack()
            try:
                gallery = opened_gallery(
                    self._settings, self._metrics, partial(load, self._settings, open_moved_gallery)
                )
                opened = await closing.enter_async_context(gallery)
                try:
                    await opened.engine.warm()
                except BaseException:
                    await closing.aclose()
                    raise
            except FaceServiceError as error:
                old.moves.fail(error)
            except Exception:
                log.exception("The gallery's new model could not be taken up.")
                old.moves.fail(NotReady("it failed in a way that the service's log shows."))
            else:
                return closing, opened
            await asyncio.sleep(RETRY_S)
