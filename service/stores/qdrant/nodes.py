"""The nodes of a Qdrant cluster: which one is asked, when the next one is, and when the former one again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from grpc import RpcError
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException

from service.errors import StoreUnavailable

log = logging.getLogger(__name__)

ANSWERS_WITHIN_S = 0.4
"""A node that works says so within that time, however busy it is."""

PROBE_EVERY_S = 5.0
"""Between two looks at the nodes that would be preferred."""

RETURN_AFTER_S = 30.0
"""So long a node must have answered before it is preferred again: one that has just woken doesn't know everything."""

FIND_EVERY_S = 1.0
"""Names aren't looked up more often."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node's address, as the log and /readyz show it, and what makes a client of it; nothing is sent by that."""

    address: str
    connect: Callable[[], AsyncQdrantClient]


Connect = Callable[[], Awaitable[Sequence[Node]]]
"""Tells which nodes there are now, the preferred one first; one at least."""


class Nodes:
    """Keeps to one node as long as it answers."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._clients: dict[str, AsyncQdrantClient] = {}
        self._nodes: list[Node] = []
        self._current: Node | None = None
        self._left: set[str] = set()  # the addresses of those that were left since they last worked
        self._found_at = float("-inf")
        self._finding = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self.is_open = False

    @property
    def address(self) -> str | None:
        """Of the node that is asked; None before the first request."""
        return self._current.address if self._current else None

    @property
    def are_several(self) -> bool:
        """Whether there is another one to go to."""
        return len(self._nodes) > 1

    async def current(self) -> Node:
        """The node to ask. Raises StoreUnavailable once they are closed."""
        if not self.is_open:
            raise StoreUnavailable("The gallery is closed.")
        if self._current is None:
            await self._find()
            self._current = self._current or self._nodes[0]
        return self._current

    def client(self, node: Node) -> AsyncQdrantClient:
        """The client of a node."""
        if node.address not in self._clients:
            self._clients[node.address] = node.connect()
        return self._clients[node.address]

    def works(self, node: Node) -> None:
        """It has answered."""
        self._left.discard(node.address)

    def leave(self, node: Node) -> None:
        """It doesn't answer: from now on the next one is asked, for all requests."""
        addresses = [each.address for each in self._nodes]
        if node is self._current and addresses != [node.address]:
            place = addresses.index(node.address) if node.address in addresses else -1
            self._current = self._nodes[(place + 1) % len(self._nodes)]
            level = logging.DEBUG if node.address in self._left else logging.WARNING
            log.log(level, "Qdrant's node %s doesn't answer; %s is asked", node.address, self._current.address)
        self._left.add(node.address)
        if self.is_open and (self._watching is None or self._watching.done()):
            self._watching = asyncio.create_task(self._watch())

    async def another_answers(self, node: Node) -> bool:
        """Whether another node says that it works, and this one doesn't."""
        others = [each for each in self._nodes if each.address != node.address]
        for each in (node, *others):
            self.client(each)  # making one takes its time, which must not count as silence
        answered, *rest = await asyncio.gather(*(self._answers(each) for each in (node, *others)))
        return not answered and any(rest)

    async def close(self) -> None:
        """Let go of the connections; safe to call twice."""
        self.is_open = False
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        clients, self._clients, self._current = self._clients, {}, None
        for each in clients.values():
            await each.close()

    async def _find(self) -> None:
        """Look up which nodes there are; those that are known keep their places."""
        async with self._finding:
            if time.monotonic() - self._found_at < FIND_EVERY_S:
                return
            found = {each.address: each for each in await self._connect()}
            kept = [found.pop(each.address) for each in self._nodes if each.address in found]
            self._nodes = [*kept, *found.values()]
            self._found_at = time.monotonic()

    async def _watch(self) -> None:
        """Until the first node is asked again: look which of those before the one in use answer, and for how long."""
        since: dict[str, float] = {}
        while True:
            await self._find()
            preferred = list(takewhile(lambda each: each.address != self.address, self._nodes))
            if not preferred:
                return
            for node in preferred:
                if not await self._answers(node):
                    since.pop(node.address, None)
                elif time.monotonic() - since.setdefault(node.address, time.monotonic()) >= RETURN_AFTER_S:
                    log.info("Qdrant's node %s answers again, and is asked", node.address)
                    self._current = node
                    break
            await asyncio.sleep(PROBE_EVERY_S)

    async def _answers(self, node: Node) -> bool:
        with suppress(RpcError, QdrantException, TimeoutError):
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await self.client(node).info()
                return True
        return False
