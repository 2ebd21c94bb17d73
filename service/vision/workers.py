"""The threads that prepare photos: callers take turns at them, and unusual photos are decoded in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, TypeVarTuple, Unpack, cast

from service.timings import Timings
from service.vision.decoding.child import Decoded
from service.vision.decoding.frames import Order
from service.vision.decoding.pool import DecodingPool, Reason
from service.vision.detector import FaceDetector
from service.vision.fair_queue import Turn, Turns
from service.vision.preparation import Choice, Elsewhere, Limits, Preparation, Prepared, Steps, Undecoded

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Workers:
    """So many threads, each with a photo of its own; made inside a running event loop, and closed there."""

    def __init__(
        self, detector: FaceDetector, limits: Limits, threads: int, on_stopped: Callable[[Reason], None]
    ) -> None:
        """`on_stopped` is called with the reason for each decoding that was cut off."""
        self.preparation = Preparation(detector, limits)
        self.threads = threads
        self._limits = limits
        self._decoding = DecodingPool(limits.decoding_processes, limits.decode_s, on_stopped)
        self._turns = Turns(threads, max_waiting=limits.max_queue)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="photo")

    @property
    def waiting(self) -> int:
        """Photos that wait for a thread or are in one; at FACE_MAX_QUEUE more are refused."""
        return self._turns.waiting

    def start_decoding(self) -> None:
        """Have a process for unusual photos started, so that the first of them needn't wait for that."""
        self._decoding.start_first()

    def turn(self, caller: str) -> AbstractAsyncContextManager[Turn]:
        """Wait until it is this caller's turn; see Turns."""
        return self._turns.turn(caller)

    async def prepare(
        self, photo: bytes, choose: Choice, timings: Timings, picture_side: int | None, turn: Turn
    ) -> Prepared:
        """What takes milliseconds of processor time, in a thread, within a turn; raises what Preparation raises.

        While an unusual photo is decoded in another process, others have the turn.
        """
        steps = self.preparation.steps(photo, choose, timings, picture_side)
        done = await self._in_thread(_first, steps)
        while isinstance(done, Undecoded):
            limits = self._limits
            order = Order(len(photo), limits.formats, limits.max_pixels, *done)
            async with turn.lent():
                decoded = await self._decoding.decode(photo, order)
            done = await self._in_thread(_next, steps, decoded)
        return done

    def refuse(self) -> None:
        """Begin with no other photo: whoever waits gets Overloaded."""
        self._turns.close()

    async def close(self) -> None:
        """Kill the decoding processes, and let the threads finish what they do."""
        self.refuse()
        await self._decoding.close()
        self._pool.shutdown(cancel_futures=True)

    async def _in_thread(self, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


def _first(steps: Steps) -> Undecoded | Prepared:
    """The preparation up to where it needs a picture, or to its end."""
    try:
        return next(steps)
    except StopIteration as done:
        return cast("Prepared", done.value)


def _next(steps: Steps, decoded: Decoded) -> Undecoded | Prepared:
    """Likewise, from where it has got the picture."""
    try:
        return steps.send(Elsewhere(decoded.size, decoded.reduction, decoded.picture()))
    except StopIteration as done:
        return cast("Prepared", done.value)
