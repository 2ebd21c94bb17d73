"""Failures of CompreFace's API, as its clients know them: a number and a sentence, with CompreFace's HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from service import errors
from service.errors import FaceServiceError, InvalidRequest
from service.http.keys import OUTCOME
from service.http.request_log import Outcome
from service.http.rest_api.problems import HTTP_CODES, RETRY_AFTER_S, UNFORESEEN


class Told(NamedTuple):
    """An HTTP status, and CompreFace's number of the failure."""

    status: int
    number: int


UNDEFINED, EMPTY_FIELD, WRONG_PREDICTION_COUNT, CONSTRAINT, MISSING_PARAMETER, MISSING_PART, WRONG_ARGUMENT = (
    *(0, 5, 12, 26),
    *(33, 34, 36),
)
"""Numbers of requests that can't be understood; CompreFace has them all with status 400."""

FAILURES: Mapping[type[FaceServiceError], Told] = {
    errors.InvalidRequest: Told(400, CONSTRAINT),
    errors.Unauthenticated: Told(400, 20),
    errors.UnknownKey: Told(404, 10),
    errors.OperationDenied: Told(403, 10),
    errors.UnknownGallery: Told(404, 10),
    errors.InvalidImage: Told(400, 21),
    errors.FaceNotFound: Told(400, 28),
    errors.PoorQuality: Told(400, 28),
    errors.MultipleFaces: Told(400, 31),
    errors.UnknownPerson: Told(404, 42),
    errors.RemarkInUse: Told(400, 43),
    errors.AlreadyRegistered: Told(400, 43),
    errors.UnknownFace: Told(404, 44),
    errors.Overloaded: Told(503, 41),
    errors.NotReady: Told(503, 41),
    errors.StoreUnavailable: Told(503, 41),
}
"""A class that isn't here is told as its parent is; what nobody thought of as 500 and UNDEFINED."""

NO_SUCH_PATH = "There is no such path, or not with this method; docs/compreface.md lists those that there are."

_NUMBER = web.RequestKey("compreface_number", int)
"""What a request that can't be understood is told as, where that isn't CONSTRAINT."""


def refuse_as(request: web.Request, number: int) -> None:
    """Should the request turn out not to be understood, tell it by this number from now on."""
    request[_NUMBER] = number


def refused(request: web.Request, number: int, detail: str) -> InvalidRequest:
    """What to raise for a request that can't be understood, which is told by this number."""
    refuse_as(request, number)
    return InvalidRequest(detail)


def failure(error: Exception, request: web.Request) -> web.Response:
    """The answer to a request whose handler, or the router before it, raised an exception."""
    if isinstance(error, web.HTTPException):  # CompreFace says 404 to a wrong method, too
        response = _answer(Told(404, UNDEFINED), HTTP_CODES.get(error.status, "uri_not_found"), NO_SUCH_PATH)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    if not isinstance(error, FaceServiceError):
        return _answer(Told(500, UNDEFINED), "unforeseen", UNFORESEEN)
    told = told_as(type(error))
    if isinstance(error, InvalidRequest):
        told = told._replace(number=request.get(_NUMBER, told.number))
    response = _answer(told, error.code, str(error))
    for each in type(error).__mro__:
        if each in RETRY_AFTER_S:
            response.headers["Retry-After"] = str(RETRY_AFTER_S[each])
    return response


def told_as(error: type[FaceServiceError]) -> Told:
    """What a class of exceptions becomes."""
    return next((FAILURES[each] for each in error.__mro__ if each in FAILURES), Told(500, UNDEFINED))


def unreadable_failure(status: HTTPStatus, reason: str, detail: str) -> web.Response:
    """The answer to what can't be read as a request, and was sent to a path of CompreFace's."""
    return _answer(Told(status, UNDEFINED), reason, detail)


def _answer(told: Told, reason: str, detail: str) -> web.Response:
    response = web.json_response({"message": detail, "code": told.number}, status=told.status)
    response[OUTCOME] = Outcome(code=str(int(told.status)), reason=reason, detail=detail)
    return response
