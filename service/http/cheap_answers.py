"""Which answers nobody needs often: those that may wait where somebody asks for many of them (pacing.py)."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from service.http.keys import OUTCOME, TIMINGS
from service.http.routes import SIGNED_PICTURE, is_open, path_of


def is_cheap(request: web.BaseRequest, response: web.StreamResponse) -> bool:
    """Whether an answer is one that nobody needs often: a refusal before anything was done, or open to everybody."""
    if request.get(TIMINGS, {}).keys() - {"decode"}:  # faces were searched, or a store was asked
        return False
    outcome = response.get(OUTCOME)
    failed = response.status >= HTTPStatus.BAD_REQUEST if outcome is None else outcome.reason != "ok"
    if failed or request.method == "OPTIONS":
        return True
    return isinstance(request, web.Request) and is_open(request) and path_of(request) != SIGNED_PICTURE
