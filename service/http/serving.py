"""Serves an application until the process is told to stop, and then finishes the requests that are active.

aiohttp's own run_app stops reading as soon as it is told to stop, so that a photo which is still arriving is neither
answered nor given up for a minute.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine

from aiohttp import web

from service.http.active_requests import ActiveRequests
from service.http.connections import Runner
from service.http.keys import ACTIVE_REQUESTS, CERTIFICATE, CONNECTION_LIMITS
from service.http.listening import BACKLOG, listen

log = logging.getLogger(__name__)

FINISH_TIMEOUT_S = 30.0
"""Requests that take longer to finish, slow uploads say, are cut off."""
CLEANUP_TIMEOUT_S = 2.0
"""What requests that were cut off get to clean up."""


async def serve(app: web.Application, host: str, port: int) -> None:
    """Start, and return after SIGTERM or SIGINT; the second one cuts short the wait for active requests.

    Raises what the application's start-up raises, and OSError where it can't listen on that address.
    """
    signals: asyncio.Queue[None] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, None)
    runner = Runner(app, access_log=None, shutdown_timeout=CLEANUP_TIMEOUT_S)  # the middleware writes a better log
    try:
        if await _until_signalled(signals, _start(runner, host, port)):
            await signals.get()
            for site in list(runner.sites):
                await site.stop()
            await _until_signalled(signals, _finish(app[ACTIVE_REQUESTS]))
    finally:
        await runner.cleanup()


async def _start(runner: web.AppRunner, host: str, port: int) -> None:
    await runner.setup()
    # What is there now stays, all but a hundredth. Looking through it for garbage stops all requests for 0.1 s.
    gc.freeze()
    certificate = runner.app[CERTIFICATE]
    for each in await listen(host, port, runner.app[CONNECTION_LIMITS]):
        context = None if certificate is None else certificate.context
        site = web.SockSite(runner, each, ssl_context=context, backlog=BACKLOG)
        await site.start()
        log.info("Running on %s", site.name)


async def _finish(active_requests: ActiveRequests) -> None:
    log.info("Stopping.")
    left = await active_requests.finish(FINISH_TIMEOUT_S)
    if left:
        log.warning("Requests cut off: %d, after %g s.", left, FINISH_TIMEOUT_S)


async def _until_signalled(signals: asyncio.Queue[None], work: Coroutine[None, None, None]) -> bool:
    """Whether the work could be done before a signal came, which cancels it."""
    working, signalled = asyncio.ensure_future(work), asyncio.ensure_future(signals.get())
    await asyncio.wait([working, signalled], return_when=asyncio.FIRST_COMPLETED)
    (working if signalled.done() else signalled).cancel()
    await asyncio.wait([working, signalled])
    if working.cancelled():
        return False
    if not signalled.cancelled():  # both at once: the signal is still to be heard
        signals.put_nowait(None)
    working.result()
    return True
