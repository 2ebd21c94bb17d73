"""The service's end of the embedded gallery: keeps its process running and matches answers to requests."""

from __future__ import annotations

import asyncio
import itertools
import logging
import pickle
import signal
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from service.child_processes import command_of
from service.errors import StoreUnavailable
from service.retry import Backoff
from service.stores.edge.frames import HEADER, pack
from service.stores.edge.requests import Bind, Request
from service.values import ModelContract

log = logging.getLogger(__name__)

START_LIMIT_S = 120.0
"""Loading a gallery and replaying its log of writes is over in a second or two; more means that something is stuck."""

STOP_LIMIT_S = 10.0
"""Time that the process gets to flush before it is killed."""

RESTARTS = Backoff(first_s=0.25, longest_s=30.0)
"""The pauses after starts that failed."""

_CLOSED = "The gallery is closed."

Answer = TypeVar("Answer")


class EdgeLink:
    """One gallery process, replaced as soon as it dies.

    Calls made while a new one starts wait for it. When a start fails, calls fail at once, and the next try is made by
    a call after a pause that grows with each failure.
    """

    def __init__(self, folder: Path, *, request_limit_s: float) -> None:
        self._folder = folder.absolute()
        self._limit = request_limit_s
        self._process: _EdgeProcess | None = None
        self._contract: ModelContract | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._failure = ""
        self._failures = 0
        self._next_try = 0.0

    async def open(self) -> ModelContract | None:
        """Start the process, and return the contract that it found.

        Raises GalleryInUse or StoreUnavailable.
        """
        process = await _EdgeProcess.start(self._folder)
        self._use(process)
        self._contract = process.contract
        return process.contract

    async def call(self, request: Request[Answer], limit_s: float | None = None) -> Answer:
        """The process's answer; raises what it raised, or StoreUnavailable where no answer can be had in time."""
        limit_s = limit_s or self._limit
        try:
            async with asyncio.timeout(limit_s):
                return await (await self._running()).request(request)
        except TimeoutError:
            log.warning("The gallery's process gave no answer to %s within %g s", type(request).__name__, limit_s)
            raise StoreUnavailable(
                f"The gallery gave no answer within {limit_s:g} s; repeating the request is safe."
            ) from None

    async def bind(self, request: Bind, limit_s: float) -> int:
        """Ask for the binding, and hold later processes to it; the bits of the gallery's numbers of faces."""
        bits = await self.call(request, limit_s)
        self._contract = request.contract
        return bits

    async def close(self) -> None:
        """Let the process finish what it was asked, and wait until it is gone."""
        process, self._process = self._process, None
        if self._restarting:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
        if process:
            await process.stop()

    async def _running(self) -> _EdgeProcess:
        if self._process is None:
            raise StoreUnavailable(_CLOSED)
        if self._process.ended.done():
            if asyncio.get_running_loop().time() >= self._next_try:
                self._begin_restart()
            if self._restarting:
                await asyncio.wait([self._restarting])
        if self._process is None or self._process.ended.done():
            raise StoreUnavailable(self._failure or _CLOSED)
        return self._process

    def _use(self, process: _EdgeProcess) -> None:
        self._process = process
        self._failures = 0
        process.ended.add_done_callback(self._begin_restart)

    def _begin_restart(self, _: object = None) -> None:
        running = self._restarting is not None and not self._restarting.done()
        if self._process is not None and not running:
            self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        try:
            process = await _EdgeProcess.start(self._folder)
            if self._contract not in (None, process.contract):
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


class _EdgeProcess:
    """One running process, from its first frame to its end."""

    contract: ModelContract | None

    def __init__(self, process: Process) -> None:
        self._process = process
        self._requests = cast("asyncio.StreamWriter", process.stdin)
        self._answers = cast("asyncio.StreamReader", process.stdout)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._sending = asyncio.Lock()
        self._stopping = False
        self._greeting = self._expect(0)
        self.ended = asyncio.create_task(self._read())
        """Done once the process is gone."""

    @classmethod
    async def start(cls, folder: Path) -> _EdgeProcess:
        """Start one and wait until it has opened the gallery."""
        command = command_of("service.stores.edge.process", str(folder))
        self = cls(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE))
        try:
            async with asyncio.timeout(START_LIMIT_S):
                self.contract = await self._greeting
        except TimeoutError:
            await self.kill()
            raise StoreUnavailable(f"The gallery could not be opened within {START_LIMIT_S:g} s.") from None
        except BaseException:
            await self.kill()
            raise
        return self

    async def request(self, request: Request[Answer]) -> Answer:
        """Send one request and wait for its answer; what the caller gives up on is forgotten here."""
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = self._expect(number)  # what Request says, whatever the pickle holds
        try:
            async with self._sending:
                if not answer.done():
                    self._requests.write(pack((number, request)))
                    # One frame at a time: a process that doesn't read must not fill the memory with requests.
                    with suppress(ConnectionError):  # its end reaches us through `answer`
                        await self._requests.drain()
            return await answer
        finally:
            del self._waiting[number]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen, even if the caller was cancelled meanwhile

    async def stop(self) -> None:
        """Close its stdin, which makes it finish and leave; kill it if it doesn't."""
        self._stopping = True
        self._requests.close()
        await asyncio.wait([self.ended], timeout=STOP_LIMIT_S)
        if not self.ended.done():
            log.warning("The gallery's process did not leave within %g s and is killed", STOP_LIMIT_S)
        await self.kill()

    async def kill(self) -> None:
        """End it in any case, and wait until it is gone."""
        if not self.ended.done():
            self._stopping = True
            with suppress(ProcessLookupError):
                self._process.kill()
            await asyncio.wait([self.ended])

    def _expect(self, number: int) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        return answer

    async def _read(self) -> None:
        """Hand answers to those who wait, until the process ends; then tell all who still wait."""
        try:
            while True:
                size = HEADER.unpack(await self._answers.readexactly(HEADER.size))[0]
                number, went_well, value = pickle.loads(await self._answers.readexactly(size))  # noqa: S301 - our own
                answer = self._waiting.get(number)
                if answer is not None and not answer.done():
                    _settle(answer, value, went_well=went_well)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception:
            log.exception("The gallery's process sent something that can't be read")
        finally:
            self._requests.close()
            reason = self._explain_exit(await self._exit_status())
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(StoreUnavailable(reason))

    async def _exit_status(self) -> int:
        """Its exit status; a process that closed its end of the pipe is of no use, so it gets little time to leave."""
        try:
            return await asyncio.wait_for(self._process.wait(), timeout=2)
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def _explain_exit(self, status: int) -> str:
        """Log how the process ended, and return the sentence for those who still wait for it."""
        if self._stopping:
            return _CLOSED
        how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"left with status {status}"
        log.error("The gallery's process %d %s", self._process.pid, how)
        likely = ", most likely because its disk is full" if status == -signal.SIGBUS else ""
        return f"The gallery's process {how}{likely}, before it answered; repeating the request is safe."


def _settle(answer: asyncio.Future[Any], value: Any, *, went_well: bool) -> None:
    if went_well:
        answer.set_result(value)
    else:
        answer.set_exception(value)
