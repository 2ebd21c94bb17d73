"""Answers to what can't be handed to a handler, each in the form of the path that it was sent to."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from http import HTTPStatus

from aiohttp import web

from service.http.compreface.failures import unreadable_failure
from service.http.cors import mark
from service.http.device_api import unreadable
from service.http.keys import OUTCOME, REQUEST_ID
from service.http.request_log import REQUEST_ID_HEADER, Outcome, RequestLog, new_request_id
from service.http.rest_api.problems import unreadable_problem
from service.http.routes import OPEN_PATHS, UNKNOWN, is_compreface_path, is_rest_path
from service.variables import Origins

MALFORMED = "malformed_request"
EXPECTATION = "Nothing but `Expect: 100-continue` can be met; leave the header Expect out."


@dataclass(frozen=True, slots=True)
class Refusals:
    """Where they are logged, the origins of pages that may read them, and that of the page which is to be answered."""

    request_log: RequestLog
    origins: Origins
    origin: str | None = None

    def to(self, origin: str | None) -> Refusals:
        """Those to a page of this origin; None where there is no page."""
        return replace(self, origin=origin)


def refuse(request: web.BaseRequest, path: str, status: int, detail: str, refusals: Refusals) -> web.Response:
    """Answer, log and count; what was sent is never quoted, and nothing more is read from the connection.

    An envelope for devices, a problem below /v1, HTTP's status for machines that watch over the service, and what
    CompreFace's clients know on its paths, whether its API is on or not.
    """
    began = time.perf_counter()
    request[REQUEST_ID] = new_request_id()
    if is_rest_path(path):
        response = unreadable_problem(request, HTTPStatus(status), MALFORMED, detail)
    elif is_compreface_path(path):
        response = unreadable_failure(HTTPStatus(status), MALFORMED, detail)
    elif path in OPEN_PATHS:
        response = web.Response(status=status, text=f"{detail}\n")
        response[OUTCOME] = Outcome(code=str(status), reason=MALFORMED, detail=detail)
    else:
        response = unreadable(MALFORMED, detail)
    response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
    if refusals.origins and path not in OPEN_PATHS:
        mark(response, refusals.origin, refusals.origins)
    response.force_close()
    refusals.request_log.record(request, UNKNOWN, response[OUTCOME], time.perf_counter() - began)
    return response
