"""What machines that watch over the service ask: is it alive, can it work, what has it done."""

from __future__ import annotations

from aiohttp import web

from service.http import routes
from service.http.current import opened_for
from service.http.keys import METRICS, OUTCOME
from service.http.request_log import Outcome


def operator_routes() -> list[web.RouteDef]:
    """Each path with its handler."""
    return [web.get(routes.ALIVE, alive), web.get(routes.READY, ready), web.get(routes.METRICS, metrics)]


async def alive(_: web.Request) -> web.Response:
    """200 as long as the event loop turns."""
    return web.json_response({"status": "alive"})


async def ready(request: web.Request) -> web.Response:
    """200 when an inference and a query succeeded lately, with what the operator should know; else 503, the reason."""
    health = opened_for(request).health
    failure = await health.failure()
    if failure is None:
        asked = {} if health.node is None else {"qdrant": health.node}
        return web.json_response({"status": "ready", "warnings": health.warnings, **asked})
    response = web.json_response({"status": "not ready", "detail": str(failure)}, status=503)
    response[OUTCOME] = Outcome(code="503", reason=failure.code, detail=str(failure))
    return response


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text format."""
    return web.Response(body=await request.app[METRICS].render(), content_type="text/plain", charset="utf-8")
