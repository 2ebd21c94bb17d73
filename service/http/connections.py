"""The server's connections: what reaches one and can't be read as a request is answered, logged and counted like any.

aiohttp answers it before the application sees it, and quotes what was sent in its answer and in a traceback. It also
closes a connection as soon as the client closes its sending side, without the answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong

from service.http.bounded_connections import BoundedConnection
from service.http.connection_limits import ConnectionLimits
from service.http.keys import CONNECTION_LIMITS, CORS_ORIGINS, REMARK_CHARSET, REQUEST_LOG, SEND_S
from service.http.refusals import EXPECTATION, Refusals, refuse
from service.http.request_heads import TOO_LONG, UNREADABLE, Head, HeadReader
from service.http.targets import plain, plain_path

_NO_REQUEST = b"\x00"
"""What aiohttp's parser takes for no request, so that it makes room for a refusal in the order of the answers."""
_DRAIN_S = 0.05
"""How often a body that was cut short is looked at until its reader has had what came of it."""
_CHUNKS_FREE, _CHUNKS_COST = 64 * 1024, 2
"""A body in chunks may take so many bytes, and so many for each of its own."""
_LINGER_S = 2.0
"""How long a client that is still sending may take to read a refusal: closing at once would take it away again."""


class Runner(web.AppRunner):
    """Runs an application that has its REQUEST_LOG, REMARK_CHARSET and so on, on connections of this module."""

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self.app)


class _Server(web.Server):
    """As the one that aiohttp made, but for its connections and for what URLs mean."""

    def __init__(self, made: web.Server, app: web.Application) -> None:
        super().__init__(self._answer, request_factory=self._make)
        self._made = made
        self._refusals = Refusals(app[REQUEST_LOG], app[CORS_ORIGINS])
        self._charset = app[REMARK_CHARSET]
        self._limits, self._send_s = app[CONNECTION_LIMITS], app[SEND_S]

    def __call__(self) -> web.RequestHandler:
        options = self._made._kwargs  # noqa: SLF001 - aiohttp keeps what a connection is made with nowhere else
        return _Connection(self, self._refusals, self._limits, self._send_s, **options)

    def _make(self, message: Any, *rest: Any) -> web.BaseRequest:
        """The request, which keeps the target as it came (`raw_path`), for that is what devices sign."""
        if not message.url.absolute:
            message = message._replace(url=plain(message.url, self._charset))
        request: web.BaseRequest = self._made.request_factory(message, *rest)
        return request

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._made.request_handler(request)
        except web.HTTPException as error:  # of an `Expect` that isn't known, raised before the middlewares
            origin = request.headers.get("Origin")
            return refuse(request, plain_path(request.path), error.status, EXPECTATION, self._refusals.to(origin))


class _Connection(BoundedConnection):
    """Hands aiohttp's parser one head at a time, mended, and its body as it is.

    Where a body ends, the head says by its length; of chunks only the parser knows it (`_left` is None then).
    """

    __slots__ = (
        *("_body", "_left", "_chunks_ended", "_heads", "_path", "_refusal"),
        *("_chunked", "_broken", "_ended", "_client_ended", "_refusals", "_origin"),
    )

    def __init__(
        self, server: web.Server, refusals: Refusals, limits: ConnectionLimits, send_s: float, **options: Any
    ) -> None:
        super().__init__(server, limits, send_s, **options)
        self._refusals = refusals
        self._heads = HeadReader()
        self._path, self._refusal = "/", ""  # of the head that was handed over last
        self._origin: str | None = None  # of that one, too
        self._body: StreamReader | None = None  # of the request that was handed over last, None where it isn't known
        self._left: int | None = 0  # bytes of that body
        self._chunks_ended = False
        self._chunked = 0  # bytes of that body's chunks, with all that is around them
        self._ended = False  # nothing more is read from the client
        self._broken = False  # aiohttp's parser has met an error and can't go on
        self._client_ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client; none where aiohttp goes on with what it has put aside."""
        if data:
            self.note_received(len(data))
        if not data:
            self._parse(data)
        while data and not self._ended:
            if self._left is None and self._chunks_ended and self._body is not None and self._body.is_eof():
                self._left = 0
            if self._left == 0:
                head, data = self._heads.take(data)
                if head is not None:
                    self._begin(head)
            elif self._left is None:
                self._chunks_ended, self._chunked = data.endswith(b"\r\n\r\n"), self._chunked + len(data)
                data = self._parse(data)
                self._refuse_tiny_chunks()
            else:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._parse(piece)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio wants one, aiohttp promises none
        """The client has closed its sending side; whether the connection stays open, for the answers that it waits for.

        What it began and didn't finish is refused.
        """
        self._client_ended.set()
        if self.ssl_context is not None:  # asyncio can't keep half of a TLS connection
            return False
        if self._heads and not self._ended:
            self._begin(self._heads.cut_short())
        elif self._body is not None:
            self._cut_short(self._body)
        self._ended = True
        answers = bool(self._messages) or (self._request_count > 0 and self._waiter is None)
        if answers:
            self.watch_ended_client()
        return answers

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """As aiohttp; but no connection stays open on which nothing can follow."""
        if self._close:
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        if self._broken and not self._messages:
            await self._linger()
        if self._client_ended.is_set() and not self._messages:
            self.close()
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that the parser refuses."""
        if isinstance(exc, HttpProcessingError):
            detail = self._refusal or (TOO_LONG if isinstance(exc, LineTooLong) else UNREADABLE)
            return refuse(request, self._path, status, detail, self._refusals.to(self._origin))
        return super().handle_error(request, status, exc, message)

    def log_exception(self, *arguments: Any, **options: Any) -> None:
        """As aiohttp; but a body that is malformed behind the answer is no error, and its traceback would quote it."""
        if not isinstance(options.get("exc_info"), HttpProcessingError | web.RequestPayloadError):
            super().log_exception(*arguments, **options)

    async def _linger(self) -> None:
        """Give a client that is still sending the time to read the refusal."""
        if self.transport is not None and self.transport.can_write_eof() and not self._client_ended.is_set():
            with suppress(OSError):  # it may have left, or stay longer than that
                self.transport.write_eof()
                await asyncio.wait_for(self._client_ended.wait(), _LINGER_S)

    def _begin(self, head: Head) -> None:
        """Hand over a head, and find out how long the body behind it is."""
        if head.refusal and self._body is not None and self._body is not EMPTY_PAYLOAD:
            self._drop_rest()
            return
        self._path, self._refusal, self._origin = head.path, head.refusal, head.origin
        before = self._request_count
        self._parse(head.content or _NO_REQUEST)
        if self._broken:
            return
        self._body, self._left, self._chunks_ended, self._chunked = None, None, False, 0
        if self._request_count == before or self._upgraded:  # too many requests wait, or another protocol follows
            return
        message: Any
        message, self._body = self._messages[-1]
        if self._body.is_eof():
            self._left = 0
        elif not message.chunked:
            self._left = int(message.headers["Content-Length"])

    def _parse(self, data: bytes) -> bytes:
        """Have aiohttp parse these bytes, and return that none is left; an error in a body is told to its reader."""
        if self._broken:
            return b""
        super().data_received(data)
        if self._messages and not hasattr(self._messages[-1][0], "headers"):
            self._broken = self._ended = True
            if self._body is not None and not self._body.is_eof():
                self._messages.pop()  # else it would be answered twice, and only after the reader gave up waiting
                self._body.set_exception(web.RequestPayloadError("It is malformed."))
        return b""

    def _refuse_tiny_chunks(self) -> None:
        """Each chunk costs as much as some hundred bytes; no client means to send most of a body as what is around."""
        body = self._body
        if body is None or body.is_eof() or body.exception() is not None:
            return
        if self._chunked > _CHUNKS_FREE + _CHUNKS_COST * body.total_bytes:
            self._broken = self._ended = True
            body.set_exception(web.RequestPayloadError("Its chunks are too small."))

    def _drop_rest(self) -> None:
        """Behind a body stands more than its length says: it is the body's and no request, but nothing can follow."""
        self._ended = True
        if self._waiter is None or self._waiter.done():
            self.close()  # once the request is answered
        else:
            self.force_close()

    def _cut_short(self, body: StreamReader) -> None:
        """Tell the body's reader that no more will come, once it has read what came."""
        if body.is_eof() or body.exception() is not None or self.transport is None:
            return
        if body._size:  # noqa: SLF001 - aiohttp tells nowhere else how much it holds
            self._loop.call_later(_DRAIN_S, self._cut_short, body)
        else:
            body.set_exception(web.RequestPayloadError("It ended early."))
