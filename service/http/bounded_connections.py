"""Connections that count, make room when they are idle, and end where the client doesn't take its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion11

from service.http.cheap_answers import is_cheap
from service.http.connection_limits import Connection, ConnectionLimits
from service.http.ended_clients import EndedClient
from service.http.keys import ANSWER_BEGUN, TIMINGS
from service.http.pacing import BYTES_A_READ
from service.http.unread_answers import ReaderWatch

_AT_ONCE = 64 * 1024
"""Bytes that are read from a connection before others have their turn."""
_AMONG_MANY = 16 * 1024
"""Likewise where more than MANY connections are open: what all of them send at once delays whoever is served."""
_MANY = 32
_KNOWN = ("device:", "key:")
"""How callers begin of whom it is certain who they are."""


class BoundedConnection(web.RequestHandler, Connection):
    """aiohttp's connection within limits."""

    __slots__ = (
        *(
            "_answered",
            "_ended_client",
            "_group",
            "_hold",
            "_limits",
            "_peer",
            "_received",
            "_send_s",
            "_watch",
            "_when_lost",
        ),
        "ended_because",
    )

    def __init__(self, server: web.Server, limits: ConnectionLimits, send_s: float, **options: Any) -> None:
        """`send_s` is the time in seconds in which the client must take some of its answer; see ReaderWatch."""
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._limits, self._send_s, self._peer = limits, send_s, ""
        self._watch: ReaderWatch | None = None
        self._ended_client: EndedClient | None = None
        self._hold: asyncio.TimerHandle | None = None
        self._answered, self._received, self._group = False, 0, ""
        self._when_lost: Callable[[], None] | None = None
        self.ended_because = ""
        """In a sentence, where the service ended the connection within an answer."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered; its head may have begun."""
        return self._waiter is not None and not self._messages

    def drop(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        super().connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            transport.max_size = _AMONG_MANY  # type: ignore[attr-defined]  # asyncio's own, 256 KiB else
            self._watch = ReaderWatch(transport, self._send_s, self._give_up)
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._group = self._limits.group(self._peer)
        accepted = transport.get_extra_info("socket")
        self._limits.opened(self._peer, self, -1 if accepted is None else accepted.fileno())

    def note_received(self, count: int) -> None:
        """So many bytes have come; the next ones are as many, and as soon, as suits the others."""
        if isinstance(self.transport, asyncio.Transport):
            at_once = _AT_ONCE if self._limits.count <= _MANY else _AMONG_MANY
            self.transport.max_size = at_once  # type: ignore[attr-defined]  # asyncio's own
            self._hold_if_too_much(self.transport, count)

    def _resume_transport_reading(self) -> None:
        """As aiohttp, unless the client has to wait anyway."""
        if self._hold is None:
            super()._resume_transport_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._limits.closed(self._peer, self, answered=self._answered)
        if self._hold is not None:
            self._hold.cancel()
        if self._watch is not None:
            self._watch.end()
        if self._ended_client is not None:
            self._ended_client.end()
        super().connection_lost(exc)
        if self._when_lost is not None:
            self._when_lost()

    @contextmanager
    def telling(self, when_lost: Callable[[], None]) -> Iterator[None]:
        """Have it called should the connection be lost within the block; a client that only ends its side is there."""
        self._when_lost = when_lost
        try:
            if self.transport is None:
                when_lost()
            yield
        finally:
            self._when_lost = None

    def watch_ended_client(self) -> None:
        """The client sends no more: from now on find out whether it has left altogether."""
        if isinstance(self.transport, asyncio.Transport):
            self._ended_client = EndedClient(self.transport, self._is_unanswered)

    def _is_unanswered(self) -> bool:
        """Whether a request of HTTP/1.1 is being handled of whose answer nothing is sent yet."""
        request = self._current_request
        return request is not None and request.version >= HttpVersion11 and ANSWER_BEGUN not in request

    def pause_writing(self) -> None:
        """The client takes no more at the moment."""
        super().pause_writing()
        if self._watch is not None:
            self._watch.begin()

    def resume_writing(self) -> None:
        """It has taken all that there was."""
        super().resume_writing()
        if self._watch is not None:
            self._watch.end()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """As aiohttp; but no further request is answered before the client has taken this answer.

        One that nobody needs so often waits.
        """
        received, self._received = self._received, 0
        if not is_cheap(request, resp):
            self._limits.worth(self._group, received)
        elif (pause_s := self._limits.pause_s(self._client_of(request), received)) > 0:
            await asyncio.sleep(pause_s)
        self._answered = self.transport is not None
        finished = await super().finish_response(request, resp, start_time)
        if self.writing_paused:
            await self._drain_helper()
        return finished

    def _client_of(self, request: web.BaseRequest) -> str:
        timings = request.get(TIMINGS)
        return self._peer if timings is None else timings.caller

    def _hold_if_too_much(self, transport: asyncio.Transport, received: int) -> None:
        """Read no more for a while where the client's address sends more than its share, unless it said who asks."""
        request = self._current_request
        if request is not None and self._client_of(request).startswith(_KNOWN):
            return
        self._received += received + BYTES_A_READ
        hold_s = self._limits.hold_s(self._group, received + BYTES_A_READ)
        if hold_s > 0 and self._hold is None:
            transport.pause_reading()
            self._hold = asyncio.get_running_loop().call_later(hold_s, self._read_on)

    def _read_on(self) -> None:
        self._hold = None
        if isinstance(self.transport, asyncio.Transport) and not (self._reading_paused or self._buffer_paused):
            self.transport.resume_reading()

    def _give_up(self) -> None:
        self.ended_because = f"The client took next to nothing of its answer for {self._send_s:g} s."
        self._limits.gave_up()
