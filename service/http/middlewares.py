"""What happens around every handler: a request id, the log line, metrics, and errors turned into answers."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.errors import FaceServiceError
from service.http import routes
from service.http.active_requests import ActiveRequests
from service.http.bounded_connections import BoundedConnection
from service.http.compreface.failures import failure as compreface_failure
from service.http.device_api import failure
from service.http.keys import ANSWER_BEGUN, FORM, OUTCOME, REQUEST_ID, SIGNED_BODY, TIMINGS, UPLOAD, UPLOADS
from service.http.request_log import REQUEST_ID_HEADER, Outcome, RequestLog, cut_off, new_request_id
from service.http.rest_api.problems import problem
from service.timings import Timings

log = logging.getLogger("service.request")


def record_requests(request_log: RequestLog, active_requests: ActiveRequests) -> Middleware:
    """Number the request, time it, and log and count its answer."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = new_request_id()
        client = request_log.client(request)  # who that is will be known later
        request[TIMINGS] = Timings(client)
        request[UPLOAD] = request.app[UPLOADS].begin(client)
        began = time.perf_counter()
        outcome = cut_off()  # unless an answer comes
        try:
            with active_requests.track(), _told_of_leaving(request):
                response = await handler(request)
            if not response.prepared and (active_requests.stopping or not request.content.is_eof()):
                response.force_close()  # also where the body goes on behind what was read: nobody knows where it ends
            outcome = response.get(OUTCOME) or Outcome(code=str(response.status))
            return response
        finally:
            _forget_body(request)
            request_log.record(request, routes.path_of(request), outcome, time.perf_counter() - began)

    return middleware


def _told_of_leaving(request: web.Request) -> AbstractContextManager[None]:
    """Have nobody look at photos for a client that has left; what is written meanwhile is written to the end."""
    if isinstance(request.protocol, BoundedConnection):
        return request.protocol.telling(request[TIMINGS].client_left)
    return nullcontext()


def answer_errors() -> Middleware:
    """Turn exceptions into envelopes, below /v1 into problems, and into failures as CompreFace has them on its paths.

    What is unforeseen is logged with its traceback and answered without detail.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - each has an answer
            answer = _answer(error, request)
            _forget_frames(error)
        return answer

    return middleware


def _answer(error: Exception, request: web.Request) -> web.Response:
    gone = request.transport is None or request.transport.is_closing()
    if gone and isinstance(error, ConnectionError):  # nobody is left to answer
        ended_because = request.protocol.ended_because if isinstance(request.protocol, BoundedConnection) else ""
        return _break_off(request, cut_off(ended_because))
    label = {"request_id": request[REQUEST_ID]}
    if not isinstance(error, FaceServiceError | web.HTTPException):
        log.error("Unforeseen error.", exc_info=error, extra=label)
    if ANSWER_BEGUN in request:  # half an answer must not look like a whole one
        log.error("The answer was broken off: %s", error, extra=label)
        return _break_off(request, cut_off(str(error) if isinstance(error, FaceServiceError) else ""))
    if routes.is_compreface(request):
        return compreface_failure(error, request)
    return problem(error, request) if routes.is_rest(request) else failure(error, request)


async def mark_answer(request: web.Request, response: web.StreamResponse) -> None:
    """As an answer begins, put the request id on its head, so that a device's report leads to the log line."""
    request[ANSWER_BEGUN] = True
    if REQUEST_ID in request:
        response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]


def _forget_body(request: web.Request) -> None:
    """Whatever still refers to the request, as the connection does for a while, keeps no photo with it."""
    request[UPLOAD].end()
    for key in (FORM, SIGNED_BODY):
        request.pop(key, None)


def _forget_frames(error: BaseException | None) -> None:
    """What was raised stays with the body that it was about, and would keep all that the functions had in hand."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def _break_off(request: web.Request, outcome: Outcome) -> web.Response:
    """Close the connection as it is; the response that aiohttp wants is never sent."""
    if request.transport is not None:
        request.transport.abort()
    response = web.Response()
    response[OUTCOME] = outcome
    return response
