"""What happens around every handler: a request id, the log line, metrics, and errors turned into answers."""

from __future__ import annotations

import logging
import time
import uuid

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.errors import FaceServiceError
from service.http.active_requests import ActiveRequests
from service.http.device_api import CODE, DEVICE_ID, TIMINGS, failure
from service.http.metrics import Metrics
from service.timings import Timings

log = logging.getLogger("service.request")

REQUEST_ID = web.RequestKey("request_id", str)
HEADER = "X-Request-Id"
CUT_OFF = "cut off"
"""The log's code of a request whose client left, or whose answer broke off."""
QUIET = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines: logged at level DEBUG."""


def account(metrics: Metrics, active_requests: ActiveRequests) -> Middleware:
    """Number the request, time it, and log and count its answer."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = uuid.uuid4().hex[:16]
        request[TIMINGS] = timings = Timings()
        began = time.perf_counter()
        outcome = CUT_OFF  # unless an answer comes
        try:
            with active_requests.one():
                response = await handler(request)
            if active_requests.stopping and not response.prepared:
                response.force_close()
            outcome = response.get(CODE, str(response.status))
            return response
        finally:
            total = (time.perf_counter() - began) * 1000
            route = _route(request)
            metrics.record(route, outcome, timings)
            level = logging.DEBUG if route in QUIET else logging.INFO
            fields = {"request_id": request[REQUEST_ID], "method": request.method, "route": route, "code": outcome}
            if DEVICE_ID in request:
                fields["device_id"] = request[DEVICE_ID]
            took = {stage: round(ms, 1) for stage, ms in {"total": total, **timings}.items()}
            log.log(level, "request", extra={**fields, "ms": took})

    return middleware


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions into envelopes; what is unforeseen is logged with its traceback and answered without detail."""
    try:
        return await handler(request)
    except Exception as error:
        gone = request.transport is None or request.transport.is_closing()
        if gone and isinstance(error, ConnectionError):  # nobody is left to answer
            return _cut_off(request)
        label = {"request_id": request[REQUEST_ID]}
        if not isinstance(error, FaceServiceError | web.HTTPException):
            log.exception("Unforeseen error.", extra=label)
        if request.writer.output_size > 0:  # half an answer must not look like a whole one
            log.error("The answer was broken off: %s", error, extra=label)
            return _cut_off(request)
        return failure(error, request.path)


async def show_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request id on an answer's head, so that a device's report leads to the log line."""
    if REQUEST_ID in request:
        response.headers[HEADER] = request[REQUEST_ID]


def _cut_off(request: web.Request) -> web.Response:
    """Close the connection as it is; the response that aiohttp wants is never sent."""
    if request.transport is not None:
        request.transport.abort()
    response = web.Response()
    response[CODE] = CUT_OFF
    return response


def _route(request: web.Request) -> str:
    """The path as it was registered, so that nobody can fill the log or the metrics with paths of their own."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
