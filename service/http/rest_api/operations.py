"""An operation of /v1: one description from which its handler, its route and its part of the document are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel

from service.devices.operations import OperationWord
from service.errors import FaceServiceError
from service.http.forms import FormLimits, defer_continue
from service.http.rest_api.answers import Answer
from service.http.rest_api.json_bodies import Body
from service.http.rest_api.paths import resource_path
from service.http.rest_api.queries import Query, read_query

Q = TypeVar("Q", bound=Query)


class Takes(Enum):
    """What the body of a request is, where it isn't just JSON."""

    NOTHING = "nothing"
    PHOTO = "a photo"
    PHOTOS = "a photo, or two"
    ARCHIVE = "an exported gallery"
    REGISTRATION = "a photo, and what is kept beside its faces"
    BATCH = "many photos, each with what is kept beside its faces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[Q]):
    """What is done at a path.

    `needs` is what the caller must be allowed to do. `takes` is the model of a body that is JSON, or says what else it
    is. `handle` gets the request, its query and the limits of a body. It returns the model of the answer, or a response
    of its own where the answer isn't JSON, of the type `media_type`, or has the status `or_status`. `raises` are the
    failures that it has beside those that every operation has. `example` is an answer, as JSON.
    """

    name: str
    needs: OperationWord
    tag: str
    method: str
    path: str
    summary: str
    query: type[Q]
    handle: Callable[[web.Request, Q, FormLimits], Awaitable[Answer | web.StreamResponse]]
    description: str = ""
    takes: Takes | type[Body] = Takes.NOTHING
    status: int = 200
    or_status: int | None = None
    answer: type[Answer] | None = None
    media_type: str = "application/json"
    raises: tuple[type[FaceServiceError], ...] = ()
    example: Any = None

    def route(self, limits: FormLimits) -> web.RouteDef:
        """The method and the path with their handler."""

        async def handler(request: web.Request) -> web.StreamResponse:
            answer = await self.handle(request, read_query(request, self.query), limits)
            if isinstance(answer, BaseModel):
                return as_json(answer, self.status)
            return answer

        options: dict[str, Any] = {} if self.takes is Takes.NOTHING else {"expect_handler": defer_continue}
        if self.method == "GET":
            options["allow_head"] = False  # which the document doesn't have
        return web.route(self.method, resource_path(self.path), handler, **options)


def as_json(answer: Answer, status: int) -> web.Response:
    """The answer's members; one that wasn't asked for, such as a picture, is left out."""
    body = answer.model_dump_json(exclude_unset=True).encode()
    return web.Response(status=status, body=body, content_type="application/json")
