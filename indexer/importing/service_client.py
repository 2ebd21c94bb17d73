"""Sends photos to a running service, which alone has its embedded gallery open, many with each request."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from indexer.importing.batch_requests import BatchRequests, Busy, PhotoOutcome, Sending, TooMuch
from indexer.importing.credentials import Credentials, no_credentials
from indexer.importing.failures import AWAY_LIMIT_S, Refused, until_available
from indexer.importing.pipeline import Written
from service.errors import StoreUnavailable
from service.gallery.enrollment import Candidate

LIMIT_S = 300.0
"""For one request; a service that is busy answers later, not never."""

PHOTOS_AT_ONCE = 16
"""Photos of one request."""
BYTES_AT_ONCE = 16 * 2**20
"""Of one request's photos, but for one that alone has more."""
REQUESTS_AT_ONCE = 2
"""While the service has one of them, the other one travels; its devices don't wait behind a long queue."""

IN_FLIGHT = (REQUESTS_AT_ONCE + 1) * PHOTOS_AT_ONCE
"""Photos to have at once, so that the next request is full when it can go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Candidate):
    """A photo that the service has registered: `written` is what became of its faces, which are not here."""

    written: tuple[Written, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A photo that waits to be sent, and whoever waits for its outcome."""

    photo: Sending
    outcome: asyncio.Future[tuple[Written, ...]]

    def settle(self, outcome: tuple[Written, ...] | Exception) -> None:
        if self.outcome.done():  # nobody waits any more
            return
        if isinstance(outcome, Exception):
            self.outcome.set_exception(outcome)
            self.outcome.exception()  # else asyncio complains where all stop together
        else:
            self.outcome.set_result(outcome)


class ServiceClient:
    """Registers photos; `observe` and `write` are a pipeline's. What waits is sent together, as soon as it can be."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        credentials: Credentials = no_credentials,
        *,
        gallery: str | None = None,
        away_limit_s: float = AWAY_LIMIT_S,
    ) -> None:
        """`url` is where the service listens; without `gallery` that of the caller is meant."""
        self._session = session
        self._url = url.rstrip("/")
        self._requests = BatchRequests(session=session, url=self._url, gallery=gallery, credentials=credentials)
        self._away_limit_s = away_limit_s
        self._waiting: deque[_Waiting] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def observe(self, content: bytes, remark: str) -> Registered:
        """Register the photo; the candidate has no faces, for the service finds and keeps them.

        Raises Refused, or CannotGoOn where the service stays away or takes no photos from here.
        """
        waiting = _Waiting(Sending(content, remark.encode()), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._senders) < REQUESTS_AT_ONCE:
            sender = asyncio.create_task(self._send_waiting())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        written = await waiting.outcome
        return Registered(sha256=hashlib.sha256(content).hexdigest(), picture="", faces=(), written=written)

    async def write(self, candidates: Sequence[tuple[Candidate, str]]) -> list[list[Written]]:
        """What became of each photo's faces; nothing is left to do."""
        return [list(each.written) for each, _ in candidates if isinstance(each, Registered)]

    async def check(self) -> None:
        """Raises StoreUnavailable unless a service is there and ready."""
        try:
            async with self._session.get(f"{self._url}/readyz") as response:
                if response.status != HTTPStatus.OK:
                    raise StoreUnavailable(f"The service at {self._url} is not ready ({response.status}); see its log.")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            problem = f"There is no service at {self._url} ({error}); start it or correct --service."
            raise StoreUnavailable(problem) from None

    async def close(self) -> None:
        """Give up the requests that are under way."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    async def _send_waiting(self) -> None:
        while batch := self._next_batch():
            try:
                await self._register(batch)
            except Exception as error:  # noqa: BLE001 - each photo's `observe` raises it
                for each in batch:
                    each.settle(error)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < PHOTOS_AT_ONCE:
            size += len(self._waiting[0].photo.content)
            if batch and size > BYTES_AT_ONCE:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _register(self, batch: Sequence[_Waiting]) -> None:
        """Until each photo has its outcome; those that the service takes together, else one by one."""
        left = list(batch)

        async def attempt() -> None:
            outcomes = await self._requests.register([each.photo for each in left])
            busy = _settle(left, outcomes)
            if busy is not None:
                left[:] = [each for each in left if not each.outcome.done()]
                raise StoreUnavailable(f"The service at {self._url} has too much to do: {busy}")

        try:
            await until_available(attempt, self._away_limit_s)
        except TooMuch as error:
            if len(left) == 1:
                left[0].settle(Refused(str(error)))
            else:
                for each in left:
                    await self._register([each])


def _settle(sent: Sequence[_Waiting], outcomes: Sequence[PhotoOutcome]) -> Busy | None:
    """Tell each photo's outcome, but to those that met a busy service; what it said, if there are any."""
    busy = None
    for each, outcome in zip(sent, outcomes, strict=True):
        if isinstance(outcome, Busy):
            busy = outcome
        else:
            each.settle(outcome)
    return busy


@asynccontextmanager
async def connected(
    url: str, credentials: Credentials = no_credentials, *, gallery: str | None = None
) -> AsyncIterator[ServiceClient]:
    """A client of the service at `url`. Raises StoreUnavailable where there is none."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session:
        client = ServiceClient(session, url, credentials, gallery=gallery)
        await client.check()
        try:
            yield client
        finally:
            await client.close()
