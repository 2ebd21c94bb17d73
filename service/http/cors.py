"""Pages of other origins that may ask from a browser: the answers to its preflights, and what it wants on answers."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from service.devices import signatures
from service.http.routes import API_KEY, OPEN_PATHS
from service.variables import Origins

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = ", ".join(
    (
        *("Authorization", "Content-Type", "If-None-Match", API_KEY),
        *(signatures.DEVICE_ID, signatures.TIMESTAMP, signatures.NONCE),
        *(signatures.CONTENT_SHA256, signatures.SIGNATURE),
    )
)
_ANSWER_HEADERS = "X-Request-Id, ETag, Date, Retry-After"
"""What pages may read beside what every browser lets them."""
_MAX_AGE_S = 600
"""How long a browser need not ask again."""


def allow_origins(app: web.Application, origins: Origins) -> None:
    """Let pages of these origins ask for all but what is machines'; `*` lets all.

    Must be called before authentication is added: a browser sends nobody's name with a preflight. Answers never allow
    cookies or a browser's own passwords.
    """

    @web.middleware
    async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asked or request.path in OPEN_PATHS or _allowed(request.headers.get("Origin"), origins) is None:
            return await handler(request)
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _REQUEST_HEADERS,
                "Access-Control-Max-Age": str(_MAX_AGE_S),
            },
        )

    async def mark_answer(request: web.Request, response: web.StreamResponse) -> None:
        if request.path not in OPEN_PATHS:
            mark(response, request.headers.get("Origin"), origins)

    app.middlewares.append(answer_preflights)
    app.on_response_prepare.append(mark_answer)


def mark(response: web.StreamResponse, origin: str | None, origins: Origins) -> None:
    """Let a page of this origin read the answer, where pages of it may ask; None where there is no page."""
    if "*" not in origins:  # else the answer is the same for all
        response.headers.add("Vary", "Origin")
    allowed = _allowed(origin, origins)
    if allowed is not None:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS


def _allowed(origin: str | None, origins: Origins) -> str | None:
    """What Access-Control-Allow-Origin says to a page of this origin; None where it may not ask."""
    if origin is None:
        return None
    if "*" in origins:
        return "*"
    return origin if origin in origins else None
