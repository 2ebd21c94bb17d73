"""What happens around every handler: a request id, the log line, metrics, and errors turned into answers."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.device_api import CODE, failure
from service.errors import FaceServiceError
from service.metrics import Metrics
from service.stages import STAGES, Stages

log = logging.getLogger("service.request")

REQUEST_ID = "X-Request-Id"
QUIET = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines: logged at level DEBUG."""


def account(metrics: Metrics) -> Middleware:
    """Number the request, time it, and log and count its answer."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = uuid.uuid4().hex[:16]
        request[STAGES] = stages = Stages()
        began = time.perf_counter()
        outcome = "cut off"  # by the client, unless an answer comes
        try:
            response = await handler(request)
            outcome = str(response.get(CODE, response.status))
            return response
        finally:
            total = (time.perf_counter() - began) * 1000
            route = _route(request)
            metrics.record(route, outcome, stages)
            level = logging.DEBUG if route in QUIET else logging.INFO
            fields = {"request_id": request[REQUEST_ID], "method": request.method, "route": route, "code": outcome}
            took = {stage: round(ms, 1) for stage, ms in {"total": total, **stages}.items()}
            log.log(level, "request", extra={**fields, "ms": took})

    return middleware


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions into envelopes; what is unforeseen is logged with its traceback and answered without detail."""
    try:
        response = await handler(request)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if not isinstance(error, FaceServiceError | web.HTTPException):
            log.exception("Unforeseen error.", extra={"request_id": request[REQUEST_ID]})
        response = failure(error, request.path)
    if not response.prepared:
        response.headers[REQUEST_ID] = request[REQUEST_ID]
    return response


def _route(request: web.Request) -> str:
    """The path as it was registered, so that nobody can fill the log or the metrics with paths of their own."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
