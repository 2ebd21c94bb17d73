"""The service's end of a Qdrant server: connects, limits, repeats, and says what is wrong with it."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from grpc import RpcError, StatusCode
from grpc.aio import AioRpcError
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse

from service.errors import StoreUnavailable
from service.retry import Backoff, retry

log = logging.getLogger(__name__)

REQUEST_LIMIT_S = 4.5
"""What a person waits for must be answered, with all its repetitions, within 5 s."""

BULK_LIMIT_S = 60.0
"""Batches, and work on whole collections; that a server is gone is noticed long before."""

BACKOFF = Backoff(first_s=0.1, longest_s=0.9, factor=3.0)
"""The pauses before a request is repeated. Every request of the store may be: see QdrantStore."""

MAX_ATTEMPTS = 4

RETRY_LIMIT_S = 3.0
"""What fails later than that is not repeated, so that batches too learn within 5 s that nobody is there."""

TRANSIENT = {StatusCode.UNAVAILABLE, StatusCode.ABORTED, StatusCode.RESOURCE_EXHAUSTED}
"""Refusals that may be over soon: no connection, a cluster that elects a leader, a rate limit."""

HINTS = {
    StatusCode.UNAUTHENTICATED: "Qdrant refuses FACE_QDRANT_API_KEY; it must be a key that may read and write.",
    StatusCode.PERMISSION_DENIED: "Qdrant's FACE_QDRANT_API_KEY must be a key that may read and write.",
    StatusCode.NOT_FOUND: "The gallery's collection is gone from Qdrant; restart the service.",
}

_CLOSED = "The gallery is closed."

CHANNEL = {
    # gRPC's own limits are too patient: 20 s for a server that accepts and stays silent, then pauses of up to 120 s.
    "grpc.min_reconnect_backoff_ms": 2000,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    # While a request waits, is there anybody at all? Without, a machine that lost its power is noticed after minutes.
    "grpc.keepalive_time_ms": 2000,
    "grpc.http2.ping_timeout_ms": 2500,
    "grpc.http2.max_pings_without_data": 0,
    # Otherwise channels to the same address share one connection, and its back-off, even from one client to the next.
    "grpc.use_local_subchannel_pool": 1,
}

T = TypeVar("T")
Connect = Callable[[], AsyncQdrantClient]
Request = Callable[[AsyncQdrantClient], Awaitable[T]]


def connector(*, url: str, grpc_port: int, api_key: str | None) -> Connect:
    """What makes a client of that server; nothing is sent until it is used."""

    def connect() -> AsyncQdrantClient:
        with warnings.catch_warnings():
            # A key over plain http is what a network of containers has; docs/scaling.md says when to use https.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection", UserWarning)
            return AsyncQdrantClient(
                url=url,
                port=urlsplit(url).port or 6333,
                grpc_port=grpc_port,
                prefer_grpc=True,
                api_key=api_key,
                timeout=int(BULK_LIMIT_S) + 10,  # QdrantLink's limits come first
                grpc_options=dict(CHANNEL),
                check_compatibility=False,  # QdrantStore asks for the version itself, over the same connection
            )

    return connect


class QdrantLink:
    """One client, which connects again by itself as often as it takes."""

    def __init__(self, connect: Connect, *, request_limit_s: float) -> None:
        self._connect = connect
        self._limit = request_limit_s
        self._client: AsyncQdrantClient | None = None
        self._away = False

    def open(self) -> None:
        """Make the client."""
        self._client = self._connect()

    async def close(self) -> None:
        """Let go of the connections; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def within(self, limit_s: float | None) -> AsyncIterator[None]:
        """Raise StoreUnavailable when the block takes longer; None stands for the limit of a request."""
        limit_s = limit_s or self._limit
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            self._note(f"no answer within {limit_s:g} s")
            raise StoreUnavailable(
                f"Qdrant gave no answer within {limit_s:g} s; repeating the request is safe."
            ) from None

    async def call(self, request: Request[T], limit_s: float | None = None) -> T:
        """Make a request, and repeat it while its failure is transient. Raises StoreUnavailable."""
        try:
            async with self.within(limit_s):
                answer = await retry(
                    lambda: self._once(request),
                    BACKOFF,
                    transient=_is_transient,
                    limit_s=RETRY_LIMIT_S,
                    max_attempts=MAX_ATTEMPTS,
                )
        except (RpcError, QdrantException) as error:
            raise self._explain(error) from None
        if self._away:
            log.info("Qdrant answers again")
            self._away = False
        return answer

    async def _once(self, request: Request[T]) -> T:
        if self._client is None:
            raise StoreUnavailable(_CLOSED)
        try:
            return await request(self._client)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed() and task and not task.cancelling():  # gRPC's way to say that its channel was closed
                raise StoreUnavailable(_CLOSED) from None
            raise

    def _closed(self) -> bool:
        """Whether it was closed, perhaps by another task a moment ago."""
        return self._client is None

    def _explain(self, error: Exception) -> StoreUnavailable:
        code = _code(error)
        # Never all of it: Qdrant quotes what it was given in some.
        details = f"{code.name if code else type(error).__name__}: {_details(error):.200}"
        if code in TRANSIENT:
            self._note(details)
            return StoreUnavailable(
                "Qdrant can't be reached at FACE_QDRANT_URL, or is too busy; repeating the request is safe."
            )
        log.warning("Qdrant refused a request: %s", details)  # not always bad: replicas that start make one collection
        return StoreUnavailable(HINTS.get(code, "Qdrant could not carry this out; the service's log says why."))

    def _note(self, details: str) -> None:
        """Log that Qdrant is away: once, not for each request."""
        log.log(logging.DEBUG if self._away else logging.WARNING, "Qdrant is away: %s", details)
        self._away = True


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RpcError | QdrantException) and _code(error) in TRANSIENT


def _code(error: Exception) -> StatusCode | None:
    if isinstance(error, ResourceExhaustedResponse):  # the client's own form of a rate limit
        return StatusCode.RESOURCE_EXHAUSTED
    return error.code() if isinstance(error, AioRpcError) else None


def _details(error: Exception) -> str:
    return (error.details() or "") if isinstance(error, AioRpcError) else str(error)
