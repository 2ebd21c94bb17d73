"""The service's end of a Qdrant server or cluster: asks its nodes, limits, repeats, and says what is wrong."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from grpc import RpcError
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException

from service.errors import StoreUnavailable
from service.retry import Backoff, retry
from service.stores.qdrant import failures
from service.stores.qdrant.failures import NodeSilent
from service.stores.qdrant.nodes import Connect, Node, Nodes

log = logging.getLogger(__name__)

REQUEST_LIMIT_S = 4.5
"""What a person waits for must be answered, with all its repetitions, within 5 s."""

BULK_LIMIT_S = 60.0
"""Batches, and work on whole collections; that a server is gone is noticed long before."""

BACKOFF = Backoff(first_s=0.1, longest_s=0.9, factor=3.0)
"""The pauses before a request is repeated. Every request of the store may be: see QdrantStore."""

MAX_ATTEMPTS = 6
"""Some 3 s: a cluster takes a second or two to agree on another leader."""

NOTE_EVERY_S = 10.0
"""The log says no more often that Qdrant is away."""

PATIENCE_S = 0.4
"""After that, and again each time, other nodes are asked whether they answer where this one doesn't."""

RETRY_LIMIT_S = 3.0
"""What fails later than that is not repeated, so that batches too learn within 5 s that nobody is there."""

T = TypeVar("T")
Request = Callable[[AsyncQdrantClient], Awaitable[T]]


class QdrantLink:
    """Requests to a server or cluster, which connects again by itself as often as it takes, and to the next node."""

    def __init__(self, connect: Connect, *, request_limit_s: float) -> None:
        self.nodes = Nodes(connect)
        self._limit = request_limit_s
        self._away = False
        self._noted_at = float("-inf")

    def open(self) -> None:
        """Let requests be made; nothing is sent by that."""
        self.nodes.is_open = True

    async def close(self) -> None:
        """Let go of the connections; safe to call twice."""
        await self.nodes.close()

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
                    transient=failures.is_transient,
                    limit_s=RETRY_LIMIT_S,
                    max_attempts=MAX_ATTEMPTS,
                    on_retry=lambda error, _left_s: self._note(failures.describe(error)),
                )
        except (RpcError, QdrantException, NodeSilent) as error:
            raise self._explain(error) from None
        if self._away:
            log.info("Qdrant answers again")
            self._away = False
        return answer

    async def _once(self, request: Request[T]) -> T:
        node = await self.nodes.current()
        try:
            answer = await (self._ask(node, request) if self.nodes.are_several else request(self.nodes.client(node)))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.nodes.is_open and task and not task.cancelling():  # so gRPC says that its channel was closed
                raise StoreUnavailable("The gallery is closed.") from None
            raise
        except (RpcError, NodeSilent) as error:
            if failures.is_of_the_node(error):
                self.nodes.leave(node)
            raise
        self.nodes.works(node)
        return answer

    async def _ask(self, node: Node, request: Request[T]) -> T:
        """Ask a node as long as it works, or no other one does. Raises NodeSilent."""
        asking = asyncio.ensure_future(request(self.nodes.client(node)))
        try:
            while not (await asyncio.wait([asking], timeout=PATIENCE_S))[0]:
                if await self.nodes.another_answers(node) and not asking.done():
                    raise NodeSilent(f"{node.address} is silent")
            return await asking
        finally:
            asking.cancel()

    def _explain(self, error: Exception) -> StoreUnavailable:
        details = failures.describe(error)
        if failures.is_transient(error):
            self._note(details)
        else:  # not always bad: replicas that start make one collection
            log.warning("Qdrant refused a request: %s", details)
        return StoreUnavailable(failures.advice(error))

    def _note(self, details: str) -> None:
        """Log that Qdrant is away: once, not for each request, and not each time when it comes and goes."""
        told = self._away or time.monotonic() - self._noted_at < NOTE_EVERY_S
        log.log(logging.DEBUG if told else logging.WARNING, "Qdrant is away: %s", details)
        if not told:
            self._away, self._noted_at = True, time.monotonic()
