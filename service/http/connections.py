"""The server's connections: what reaches one and isn't HTTP is answered, logged and counted like any request.

aiohttp answers it before the application sees it, and quotes what was sent in its answer and in a traceback.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from service.http.keys import REQUEST_ID, REQUEST_LOG
from service.http.request_log import REQUEST_ID_HEADER, Outcome, RequestLog, new_request_id
from service.http.routes import UNKNOWN

_UNREADABLE = "The request can't be read as HTTP/1.1; check its request line, its headers and their lengths."


class Runner(web.AppRunner):
    """Runs an application that has its REQUEST_LOG, on connections of this module."""

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self.app[REQUEST_LOG])


class _Server(web.Server):
    """As the one that aiohttp made, but for its connections."""

    def __init__(self, made: web.Server, request_log: RequestLog) -> None:
        super().__init__(self._answer, request_factory=made.request_factory)
        self._made = made
        self._request_log = request_log

    def __call__(self) -> web.RequestHandler:
        options = self._made._kwargs  # noqa: SLF001 - aiohttp keeps what a connection is made with nowhere else
        return _Connection(self, self._request_log, **options)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._made.request_handler(request)
        except web.HTTPException as error:  # of an `Expect` that isn't known, raised before the middlewares
            return _refuse(request, error.status, self._request_log)


class _Connection(web.RequestHandler):
    __slots__ = ("_request_log",)

    def __init__(self, server: web.Server, request_log: RequestLog, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._request_log = request_log

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that aiohttp's parser refuses."""
        if isinstance(exc, HttpProcessingError):
            return _refuse(request, status, self._request_log)
        return super().handle_error(request, status, exc, message)

    def log_exception(self, *arguments: Any, **options: Any) -> None:
        """As aiohttp; but a body that is malformed behind the answer is no error, and its traceback would quote it."""
        if not isinstance(options.get("exc_info"), HttpProcessingError | web.RequestPayloadError):
            super().log_exception(*arguments, **options)


def _refuse(request: web.BaseRequest, status: int, request_log: RequestLog) -> web.Response:
    """Answer, log and count; what was sent is never quoted."""
    began = time.perf_counter()
    request[REQUEST_ID] = new_request_id()
    response = web.Response(status=status, text=f"{_UNREADABLE}\n")
    response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
    response.force_close()
    outcome = Outcome(code=str(status), reason="malformed_request", detail=_UNREADABLE)
    request_log.record(request, UNKNOWN, outcome, time.perf_counter() - began)
    return response
