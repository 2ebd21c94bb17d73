"""The service's end of the embedded gallery: keeps its process running and matches answers to requests."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from service.errors import StoreUnavailable
from service.retry import Backoff
from service.stores.edge.child import CLOSED, Answer, EdgeProcess, Rules, now
from service.stores.edge.requests import Bind, Request
from service.values import ModelContract

log = logging.getLogger(__name__)

HANG_LIMIT_S = 10.0
"""A process that answers nothing for so long, though it was asked for nothing long, hangs and is replaced."""

EARLY_S = 5.0
"""A process that ends sooner than this after its start has failed to start, for the pauses."""

RESTARTS = Backoff(first_s=0.25, longest_s=30.0)
"""The pauses after starts that failed."""


class EdgeLink:
    """One gallery process, replaced as soon as it dies.

    Calls made while a new one starts wait for it. When a start fails, calls fail at once, and the next try is made by
    a call after a pause that grows with each failure.
    """

    def __init__(
        self,
        folder: Path,
        *,
        request_limit_s: float,
        hang_limit_s: float = HANG_LIMIT_S,
        opening: str = "first",
        rules: Rules = (0, 0),
    ) -> None:
        """`opening` is an integrity.Opening: how the gallery is opened the first time."""
        self._rules = rules
        self._opening = opening
        self._folder = folder.absolute()
        self._limit = request_limit_s
        self._hang_limit_s = hang_limit_s
        self._process: EdgeProcess | None = None
        self._contract: ModelContract | None = None
        self.key_check: str | None = None
        """Which key the gallery is encrypted with, as far as it has been opened."""
        self._restarting: asyncio.Task[None] | None = None
        self._failure = ""
        self._failures = 0
        self._next_try = 0.0
        self._started_at = 0.0
        self._watching: asyncio.TimerHandle | None = None

    async def open(self) -> ModelContract | None:
        """Start the process, and return the contract that it found.

        Raises GalleryInUse or StoreUnavailable.
        """
        process = await EdgeProcess.start(self._folder, self._opening, self._rules)
        self._use(process)
        self._contract, self.key_check = process.contract, process.key_check
        return process.contract

    async def call(self, request: Request[Answer], limit_s: float | None = None) -> Answer:
        """The process's answer; raises what it raised, or StoreUnavailable where no answer can be had in time."""
        takes_long, limit_s = limit_s is not None, limit_s or self._limit
        self._refuse_if_silent()
        try:
            async with asyncio.timeout(limit_s):
                return await (await self._running()).request(request, takes_long=takes_long)
        except TimeoutError:
            self._watch_silence()
            log.warning("The gallery's process gave no answer to %s within %g s", type(request).__name__, limit_s)
            raise StoreUnavailable(
                f"The gallery gave no answer within {limit_s:g} s; repeating the request is safe."
            ) from None

    def _refuse_if_silent(self) -> None:
        """Requests to a process that hangs would only wait behind one another."""
        if self._process is not None and self._process.silent_s() >= self._limit:
            self._watch_silence()
            raise StoreUnavailable(
                f"The gallery's process has not answered for {self._limit:g} s and is replaced soon; repeating the "
                "request is safe."
            )

    def _watch_silence(self) -> None:
        """Kill the process once it hangs; another one takes its place."""
        process = self._process
        if process is None or process.ended.done():
            return
        if process.silent_s() >= self._hang_limit_s:
            process.end_hanging(self._hang_limit_s)
        elif self._watching is None or self._watching.cancelled() or self._watching.when() < now():
            self._watching = asyncio.get_running_loop().call_later(
                max(0.1, self._hang_limit_s - process.silent_s()), self._watch_silence
            )

    async def bind(self, request: Bind, limit_s: float) -> int:
        """Ask for the binding, and hold later processes to it; the bits of the gallery's numbers of faces."""
        bits = await self.call(request, limit_s)
        self._contract, self.key_check = request.contract, request.key_check
        return bits

    async def close(self) -> None:
        """Let the process finish what it was asked, and wait until it is gone."""
        process, self._process = self._process, None
        if self._watching:
            self._watching.cancel()
        if self._restarting:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
        if process:
            await process.stop()

    async def kill(self) -> None:
        """End the process at once, and start no other."""
        process, self._process = self._process, None
        if process:
            await process.kill()

    async def _running(self) -> EdgeProcess:
        if self._process is None:
            raise StoreUnavailable(CLOSED)
        if self._process.ended.done():
            if asyncio.get_running_loop().time() >= self._next_try:
                self._begin_restart()
            if self._restarting and self._next_try <= now():
                await asyncio.wait([self._restarting])
        if self._process is None or self._process.ended.done():
            raise StoreUnavailable(self._failure or CLOSED)
        return self._process

    def _use(self, process: EdgeProcess) -> None:
        self._process = process
        self._started_at = now()
        process.ended.add_done_callback(self._begin_restart)

    def _begin_restart(self, ended: object = None) -> None:
        if ended is not None and self._process is not None:
            self._note_early_end()
        running = self._restarting is not None and not self._restarting.done()
        if self._process is not None and not running:
            self._restarting = asyncio.get_running_loop().create_task(self._restart())

    def _note_early_end(self) -> None:
        """A process that dies as soon as it has started would be started over and over."""
        if now() - self._started_at > EARLY_S:
            self._failures = 0
            return
        self._failures += 1
        if self._failures > 1:
            self._next_try = now() + RESTARTS.pause_s(self._failures)
            self._failure = "The gallery's process ends as soon as it has started; the log says how."

    async def _restart(self) -> None:
        await asyncio.sleep(max(0.0, self._next_try - now()))
        try:
            process = await EdgeProcess.start(self._folder, "again", self._rules)
            if self._contract and (self._contract, self.key_check) != (process.contract, process.key_check):
                await process.stop()
                raise StoreUnavailable("The gallery's folder was replaced while the service ran; restart the service.")
        except (StoreUnavailable, OSError) as error:
            self._failures += 1
            pause_s = RESTARTS.pause_s(self._failures)
            self._next_try = asyncio.get_running_loop().time() + pause_s
            self._failure = str(error) if isinstance(error, StoreUnavailable) else "The gallery can't be started."
            log.error("The gallery's process can't be started, next try in %.1f s: %s", pause_s, error)
        else:
            log.info("The gallery's process was started again")
            self._use(process)
