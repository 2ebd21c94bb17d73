"""What machines that watch over the service ask: is it alive, can it work, what has it done."""

from __future__ import annotations

from aiohttp import web

from service.http.health import Health
from service.http.metrics import Metrics

HEALTH = web.AppKey("health", Health)
METRICS = web.AppKey("metrics", Metrics)


def routes() -> list[web.RouteDef]:
    return [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)]


async def alive(_: web.Request) -> web.Response:
    """200 as long as the event loop turns."""
    return web.json_response({"status": "alive"})


async def ready(request: web.Request) -> web.Response:
    """200 when an inference and a query succeeded lately, else 503 with the reason."""
    failure = await request.app[HEALTH].failure()
    if failure is None:
        return web.json_response({"status": "ready"})
    return web.json_response({"status": "not ready", "detail": failure}, status=503)


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text format."""
    return web.Response(body=request.app[METRICS].render(), content_type="text/plain", charset="utf-8")
