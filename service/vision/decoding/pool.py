"""Decodes in processes what could keep a worker busy: few, started early, replaced when they die."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Literal

from service.errors import DecodingStopped, ImageTooLarge, ImplausibleImage, InvalidImage, Overloaded, UnsupportedFormat
from service.vision.decoding.child import Decoded, DecodingChild, shared_memory, was_out_of_time
from service.vision.decoding.frames import Answer, Order

log = logging.getLogger(__name__)

CLOCK_TIMES = 4
"""How much longer decoding may take by the clock than of processor time: other work goes first."""

Reason = Literal["deadline", "crash", "left"]
"""Why decoding was stopped: too long, the process died by itself, or nobody waits for the photo any more."""

_ERRORS: dict[str, type[InvalidImage]] = {
    each.__name__: each for each in (InvalidImage, ImageTooLarge, ImplausibleImage, UnsupportedFormat)
}


class DecodingPool:
    """Up to `processes` of them; made inside a running event loop, and closed there.

    A photo has `limit_s` seconds of processor time, and four times that by the clock. `on_stopped` is called with the
    reason for each decoding that was cut off.
    """

    def __init__(self, processes: int, limit_s: float, on_stopped: Callable[[Reason], None] = lambda _: None) -> None:
        self._limit_s = limit_s
        self._on_stopped = on_stopped
        self._large = shared_memory(1)
        """Locked by the process that decodes a large photo, so that it is one at a time."""
        self._free = asyncio.Semaphore(processes)
        self._starting: list[asyncio.Task[DecodingChild]] = []
        self._awaited: set[asyncio.Task[DecodingChild]] = set()
        """Those of the starting ones for which a photo waits."""
        self._idle: list[DecodingChild] = []
        self._busy: set[DecodingChild] = set()
        self._released = asyncio.Event()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Of the processes that are ready or decode."""
        return [child.pid for child in (*self._idle, *self._busy)]

    def start_first(self) -> None:
        """Have a process started where there is none yet."""
        if not (self._closed or self._idle or self._busy or self._starting or self._awaited):
            self.start()

    def start(self) -> None:
        """Have one more process started, beside everything else."""
        self._starting.append(
            asyncio.create_task(DecodingChild.start(self._limit_s, self._large), name="decoding process")
        )

    async def decode(self, photo: bytes, order: Order) -> Decoded:
        """The photo as the order wants it.

        Raises what images.decode raises, and DecodingStopped where it took too long or killed its process; Overloaded
        where the pool is closed or no process can be had.
        """
        async with self._free:
            child = await self._take()
            if self._closed:
                raise _stopping()
            self._busy.add(child)
            try:
                async with asyncio.timeout(self._limit_s * CLOCK_TIMES):
                    answer, decoded = await child.ask(photo, order)
            except TimeoutError:
                raise await asyncio.shield(self._replace(child, "deadline")) from None
            except (EOFError, OSError, ValueError):
                raise await asyncio.shield(self._replace(child, None)) from None
            except asyncio.CancelledError:
                await asyncio.shield(self._replace(child, "left"))
                raise
            self._release(child)
            self._idle.append(child)
        if decoded is None:
            raise _error(answer)
        return decoded

    async def close(self) -> None:
        """Kill the processes; who still waits for one gets Overloaded."""
        self._closed = True
        starting = [*self._starting, *self._awaited]
        for each in starting:
            each.cancel()
        for child in self._busy:
            child.terminate()
        while self._busy:  # who asked them notices, and closes what is left
            self._released.clear()
            await self._released.wait()
        started = await asyncio.gather(*starting, return_exceptions=True)
        left = {*self._idle, *(each for each in started if isinstance(each, DecodingChild))}
        await asyncio.gather(*(child.kill() for child in left))
        self._idle.clear()
        if self._large >= 0:
            os.close(self._large)
            self._large = -1

    async def _take(self) -> DecodingChild:
        """A process that is ready; a new one where none waits for work."""
        while self._idle:
            child = self._idle.pop()
            if child.runs:
                return child
            await asyncio.shield(child.kill())
        if self._closed:
            raise _stopping()
        if not self._starting:
            self.start()
        starting = self._starting.pop()
        self._awaited.add(starting)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise _stopping() from None
            self._starting.append(starting)
            raise
        except OSError as error:
            log.error("A process for decoding photos can't be started: %s", error)
            raise Overloaded("The image can't be decoded now; try again in a moment.") from None
        finally:
            self._awaited.discard(starting)

    def _release(self, child: DecodingChild) -> None:
        self._busy.discard(child)
        self._released.set()

    async def _replace(self, child: DecodingChild, reason: Reason | None) -> DecodingStopped | Overloaded:
        """End and replace a process that can't go on; the error of the photo that it had."""
        status = await (child.kill() if reason else child.ended())
        self._release(child)
        if self._closed:
            return _stopping()
        self.start()
        reason = reason or ("deadline" if was_out_of_time(status) else "crash")
        self._on_stopped(reason)
        if reason == "crash":
            how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
            log.error("The process %d that decoded a photo ended %s", child.pid, how)
            return DecodingStopped("The image made its reader fail; save it anew as JPEG.")
        if reason == "deadline":
            log.warning("Decoding a photo took more than %g s and was stopped", self._limit_s)
        return DecodingStopped(f"Decoding the image took more than {self._limit_s:g} s; save it anew as JPEG.")


def _stopping() -> Overloaded:
    return Overloaded("The service is stopping; try again in a moment.")


def _error(answer: Answer) -> InvalidImage:
    if answer.error in _ERRORS:
        return _ERRORS[answer.error](answer.sentence)
    log.error("A photo could not be decoded for a reason that nobody foresaw: %s", answer.sentence)
    return InvalidImage("The image is damaged; send it again.")
