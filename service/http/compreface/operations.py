"""An operation of CompreFace's API: what it needs, where it is, and how it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from service.devices.operations import OperationWord
from service.http.forms import FormLimits, defer_continue
from service.http.rest_api.paths import resource_path

Answer = dict[str, Any] | list[dict[str, Any]] | web.Response
"""What is JSON, or a response of another sort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`needs` is what the caller must be allowed to do; `handle` gets the request and the limits of a body."""

    needs: OperationWord
    method: str
    path: str
    handle: Callable[[web.Request, FormLimits], Awaitable[Answer]]
    status: int = 200

    def route(self, limits: FormLimits) -> web.RouteDef:
        """The method and the path with their handler."""

        async def handler(request: web.Request) -> web.Response:
            answer = await self.handle(request, limits)
            return answer if isinstance(answer, web.Response) else web.json_response(answer, status=self.status)

        path = resource_path(self.path)
        if self.method == "GET":
            return web.get(path, handler, allow_head=False)
        return web.route(self.method, path, handler, expect_handler=defer_continue)
