"""Failures below /v1: RFC 9457's problem documents, with the HTTP status that each class of exceptions has."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from service import errors
from service.errors import FaceServiceError
from service.http import routes
from service.http.keys import OUTCOME, REQUEST_ID
from service.http.request_log import Outcome
from service.http.rest_api.answers import Problem

STATUSES: Mapping[type[FaceServiceError], int] = {
    errors.InvalidRequest: 400,
    errors.Unauthenticated: 401,
    errors.OperationDenied: 403,
    errors.UnknownFace: 404,
    errors.UnknownPerson: 404,
    errors.UnknownGallery: 404,
    errors.AlreadyRegistered: 409,
    errors.RemarkInUse: 409,
    errors.ContractMismatch: 409,
    errors.ImageTooLarge: 413,
    errors.UnsupportedBody: 415,
    errors.UnsupportedFormat: 415,
    errors.InvalidImage: 422,
    errors.FaceNotFound: 422,
    errors.PoorQuality: 422,
    errors.MultipleFaces: 422,
    errors.UnusableArchive: 422,
    errors.RateExceeded: 429,
    errors.UnreadableFace: 500,
    errors.NoncesUnavailable: 503,
    errors.NotReady: 503,
    errors.Overloaded: 503,
    errors.StoreUnavailable: 503,
}
"""A class that isn't here has its parent's status; 500 where none is."""

RETRY_AFTER_S: Mapping[type[FaceServiceError], int] = {errors.Overloaded: 1, errors.StoreUnavailable: 5}
"""What the header Retry-After says of what soon passes."""

HTTP_CODES: Mapping[int, str] = {404: "uri_not_found", 405: "method_not_allowed"}
"""The slugs of what the router refuses."""

UNFORESEEN = "Something unforeseen went wrong; the service's log has it under the request id."
NO_SUCH_PATH = "There is no such path; /docs lists those that there are."
NO_SUCH_METHOD = "This path has other methods; the header Allow names them."
CONTENT_TYPE = "application/problem+json"


def status_of(error: type[FaceServiceError]) -> int:
    """The HTTP status of a class of exceptions."""
    return next((STATUSES[each] for each in error.__mro__ if each in STATUSES), 500)


def problem(error: Exception, request: web.Request) -> web.Response:
    """The answer to a request for /v1 whose handler, or the router before it, raised an exception."""
    if isinstance(error, web.HTTPException):
        detail = NO_SUCH_METHOD if error.status == HTTPStatus.METHOD_NOT_ALLOWED else NO_SUCH_PATH
        code = HTTP_CODES.get(error.status, "uri_not_found")
        response = _answer(_problem(error.status, code, detail, request))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    response = _answer(described(error, request))
    if response.status == HTTPStatus.UNAUTHORIZED:
        why = ', error="invalid_token"' if isinstance(error, errors.UnknownKey) else ""
        response.headers["WWW-Authenticate"] = f'Bearer realm="face-service"{why}'
    for each in type(error).__mro__:
        if each in RETRY_AFTER_S:
            response.headers["Retry-After"] = str(RETRY_AFTER_S[each])
    return response


def unreadable_problem(request: web.BaseRequest, status: int, code: str, detail: str) -> web.Response:
    """The answer to what can't be read as a request, and was sent to a path below /v1."""
    return _answer(_problem(status, code, detail, request))


def described(error: Exception, request: web.Request) -> Problem:
    """What is told of a failure; one that nobody thought of is told without detail."""
    if not isinstance(error, FaceServiceError):
        return _problem(500, "unforeseen", UNFORESEEN, request)
    return _problem(status_of(type(error)), error.code, str(error), request)


def _problem(status: int, code: str, detail: str, request: web.BaseRequest) -> Problem:
    return Problem(
        type=f"{routes.DOCS}#{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request[REQUEST_ID],
    )


def _answer(told: Problem) -> web.Response:
    status = told.status
    response = web.Response(status=status, body=told.model_dump_json().encode(), content_type=CONTENT_TYPE)
    response[OUTCOME] = Outcome(code=str(status), reason=told.code, detail=told.detail)
    return response
