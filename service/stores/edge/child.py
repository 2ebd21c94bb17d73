"""One running process of the embedded gallery, from its first frame to its end, as the service sees it."""

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

from service.child_modules import command
from service.errors import StoreUnavailable
from service.stores.edge.frames import HEADER, PIPE_BYTES, pack
from service.stores.edge.requests import Request
from service.stores.edge.reserve import is_full
from service.values import ModelContract

log = logging.getLogger(__name__)

START_LIMIT_S = 120.0
"""Loading a gallery and replaying its log of writes is over in a second or two; more means that something is stuck."""

FIRST_START_LIMIT_S = 1800.0
"""Comparing every face of a gallery that was not closed takes about 0.2 ms each."""

STOP_LIMIT_S = 20.0
"""Time that the process gets to flush and seal the gallery before it is killed."""

Rules = tuple[int, int]
"""The fields of upkeep.UpkeepRules, which only the process may import."""

CLOSED = "The gallery is closed."

Answer = TypeVar("Answer")


class EdgeProcess:
    """One running process, from its first frame to its end."""

    contract: ModelContract | None
    key_check: str | None

    def __init__(self, process: Process, folder: Path) -> None:
        self._folder = folder
        self._greeted = False
        self._process = process
        self._requests = cast("asyncio.StreamWriter", process.stdin)
        self._answers = cast("asyncio.StreamReader", process.stdout)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._sending = asyncio.Lock()
        self._long: set[int] = set()
        self._owed: set[int] = set()
        self._asked_at = self._heard_at = now()
        self._stopping = False
        self._greeting = self._expect(0)
        self.ended = asyncio.create_task(self._read())
        """Done once the process is gone."""

    @classmethod
    async def start(cls, folder: Path, opening: str, rules: Rules) -> EdgeProcess:
        """Start one and wait until it has opened the gallery."""
        run = command("service.stores.edge.process", str(folder), opening, *map(str, rules))
        self = cls(await asyncio.create_subprocess_exec(*run, stdin=PIPE, stdout=PIPE, limit=PIPE_BYTES), folder)
        limit_s = FIRST_START_LIMIT_S if opening == "first" else START_LIMIT_S
        try:
            async with asyncio.timeout(limit_s):
                self.contract, self.key_check = await self._greeting
            self._greeted = True
        except TimeoutError:
            await self.kill()
            raise StoreUnavailable(f"The gallery could not be opened within {limit_s:g} s.") from None
        except BaseException:
            await self.kill()
            raise
        return self

    def silent_s(self) -> float:
        """For how long it has owed an answer without giving any; 0 while it does what takes long."""
        return now() - max(self._heard_at, self._asked_at) if self._owed and not self._long else 0.0

    def end_hanging(self, after_s: float) -> None:
        """Kill a process that answers nothing; `ended` follows."""
        log.error("The gallery's process %d has not answered for %g s and is killed", self._process.pid, after_s)
        with suppress(ProcessLookupError):
            self._process.kill()

    async def request(self, request: Request[Answer], *, takes_long: bool = False) -> Answer:
        """Send one request and wait for its answer; what the caller gives up on is forgotten here.

        One that `takes_long` may keep all others waiting.
        """
        number = next(self._numbers)
        if not self._owed:
            self._asked_at = now()
        self._owed.add(number)
        if takes_long:
            self._long.add(number)
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
                self._heard_at = now()
                self._owed.discard(number)
                self._long.discard(number)
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
            return CLOSED
        how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"left with status {status}"
        log.error("The gallery's process %d %s", self._process.pid, how)
        if not self._greeted and self._folder.exists() and is_full(self._folder):
            return (
                f"The gallery's process {how} while it opened {self._folder}, most likely because the disk there is "
                "full; free some space."
            )
        if not self._greeted:
            return (
                f"The gallery's process {how} while it opened {self._folder}, most likely because a file there is cut "
                "short or damaged; restore the folder from a backup, or see what is left of it with "
                "`python -m indexer check`."
            )
        likely = ", most likely because its disk is full" if status == -signal.SIGBUS else ""
        return f"The gallery's process {how}{likely}, before it answered; repeating the request is safe."


def now() -> float:
    """Seconds on the event loop's clock, which never goes back."""
    return asyncio.get_running_loop().time()


def _settle(answer: asyncio.Future[Any], value: Any, *, went_well: bool) -> None:
    if went_well:
        answer.set_result(value)
    else:
        answer.set_exception(value)
