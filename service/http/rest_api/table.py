"""Every operation of /v1, and the routes of those and of their documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from service.devices.operations import OperationWord
from service.http import routes
from service.http.forms import FormLimits
from service.http.rest_api.batch import BATCH_OPERATIONS
from service.http.rest_api.events import EVENT_OPERATIONS
from service.http.rest_api.faces import FACE_OPERATIONS
from service.http.rest_api.galleries import GALLERY_OPERATIONS
from service.http.rest_api.openapi import document
from service.http.rest_api.operations import Operation
from service.http.rest_api.page import page
from service.http.rest_api.people import PEOPLE_OPERATIONS
from service.http.rest_api.photos import PHOTO_OPERATIONS
from service.http.rest_api.removal import REMOVAL_OPERATIONS
from service.http.rest_api.state import STATE_OPERATIONS
from service.http.rest_api.status import STATUS_OPERATIONS
from service.http.rest_api.transfer import TRANSFER_OPERATIONS

OPERATIONS: Sequence[Operation[Any]] = (
    *(*FACE_OPERATIONS, *BATCH_OPERATIONS, *REMOVAL_OPERATIONS, *PEOPLE_OPERATIONS, *GALLERY_OPERATIONS),
    *(*PHOTO_OPERATIONS, *STATE_OPERATIONS, *STATUS_OPERATIONS, *TRANSFER_OPERATIONS, *EVENT_OPERATIONS),
)

NEEDS: Mapping[tuple[str, str], OperationWord] = {(each.method, each.path): each.needs for each in OPERATIONS}
"""By method and path: what the caller must be allowed to do. What isn't here nobody may do."""

_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'self'"}
"""The page has neither scripts nor anything from elsewhere."""


def rest_routes(limits: FormLimits) -> list[web.RouteDef]:
    """Each method and path with its handler."""
    # Made when somebody asks for it: that takes a tenth of a second, which a start needn't wait for.
    described = cache(lambda: document(OPERATIONS))
    as_json, as_page = cache(lambda: json.dumps(described(), ensure_ascii=False)), cache(lambda: page(described()))
    style = files("service.http.rest_api").joinpath("style.css").read_text("utf-8")

    async def show_document(_: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(as_json), content_type="application/json")

    async def show_page(_: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(as_page), content_type="text/html", headers=_POLICY)

    async def show_style(_: web.Request) -> web.Response:
        return web.Response(text=style, content_type="text/css")

    return [
        *(each.route(limits) for each in OPERATIONS),
        web.get(routes.OPENAPI, show_document, allow_head=False),
        web.get(routes.DOCS, show_page, allow_head=False),
        web.get(routes.DOCS_STYLE, show_style, allow_head=False),
    ]
