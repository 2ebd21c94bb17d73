"""The device contract: four operations, each answered, errors too, with HTTP status 200 and the same envelope."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http import HttpVersion11

from service.audit.events import Erasure, Subject
from service.errors import BadSignature, FaceServiceError, InvalidRequest, Unauthenticated
from service.http import routes
from service.http.audit import matched, note, note_names
from service.http.callers import gallery_of
from service.http.forms import FormLimits, defer_continue, read_form
from service.http.keys import DEVICE_ID, OUTCOME, TIMINGS
from service.http.query import number, refuse_misspelled, require_utf8, switch, word
from service.http.request_log import Outcome
from service.values import MAX_FACE_ID, MAX_REMARK, Match, StoredFace

MATCHES = 5
"""How many faces a recognition returns, by the contract."""

_SMALL_LIST = 64 * 1024
"""Bytes of a list from which on it is written as it comes."""
_LIST_END = b"]}}"
_JSON = {"Content-Type": "application/json; charset=utf-8"}

_SUCCESS = (0, "")
UNKNOWN_ERROR = (999, "unknow_error")  # spelled so in the contract
URI_NOT_FOUND = (1000, "uri_not_found")
MISSING_ARGS = (1001, "missing_args")
BAD_SIGNATURE = (1002, "bad_signature")
BAD_DEVICE_ID = (1003, "bad_device_id")
REGISTRATION_FAILED = (1004, "registration_failed")
RECOGNITION_FAILED = (1005, "recognition_failed")


class DeviceApi:
    """The handlers; `routes` says which path reaches which. The gallery is the application's, under GALLERIES."""

    def __init__(self, limits: FormLimits, *, delete_by_get: bool) -> None:
        self._limits = limits
        self._delete_by_get = delete_by_get

    def routes(self) -> list[web.RouteDef]:
        """Each method and path with its handler."""
        return [
            web.post(routes.REGISTER, self.register, expect_handler=defer_continue),
            web.post(routes.RECOGNISE, self.recognise, expect_handler=defer_continue),
            web.get(routes.LIST, self.list_or_delete, allow_head=False),
            web.get(routes.DELETE, self.delete, allow_head=False),
            web.post(routes.DELETE, self.delete),
            web.delete(routes.DELETE, self.delete),
        ]

    async def register(self, request: web.Request) -> web.Response:
        """Remember the face that the photo is about under the remark."""
        refuse_misspelled(request, ("remark",))
        form = await read_form(request, self._limits)
        remark = _remark(request, form.remark)
        if not remark:
            raise InvalidRequest("There is no remark; send it in the query (`?remark=…`) or as a form field.")
        if len(remark) > MAX_REMARK:
            raise InvalidRequest(f"The remark is longer than {MAX_REMARK} characters; shorten it.")
        gallery = await gallery_of(request)
        face_id = await gallery.enroll(form.image, remark, request[TIMINGS], device_id=request.get(DEVICE_ID))
        note(request, Subject(remark=remark, face_id=face_id))
        return success({})

    async def recognise(self, request: web.Request) -> web.Response:
        """The five known faces most like the photo's; the query may ask for fewer, and for more or less about each."""
        refuse_misspelled(request, ("limit", "picture", "similarity", "group"))
        limit = number(request, "limit", MATCHES, smallest=1, largest=MATCHES)
        with_picture = switch(request, "picture", default=True)
        with_score = switch(request, "similarity", default=False)
        group_by_remark = word(request, "group", ("remark",), "") == "remark"
        form = await read_form(request, self._limits)
        matches = await (await gallery_of(request)).identify(
            form.image, limit, request[TIMINGS], group_by_remark=group_by_remark
        )
        note(request, *(matched(each.face, each.score) for each in matches[:1]))
        found = [_match(each, with_picture=with_picture, with_score=with_score) for each in matches]
        return success({"recognition_face": found})

    async def list_or_delete(self, request: web.Request) -> web.StreamResponse:
        """Every known face; or, by a slip of the contract's pen that devices rely on, the deletion of one."""
        refuse_misspelled(request, ("face_id", "limit", "offset", "after"))
        if "face_id" in request.query:
            if not self._delete_by_get:  # a list would have the device believe that the face is gone
                raise InvalidRequest(
                    "Deleting by this path is switched off; use `/delete_registration_face?face_id=…`."
                )
            return await self.delete(request)
        offset = number(request, "offset", 0, smallest=0, largest=MAX_FACE_ID)
        limit = number(request, "limit", None, smallest=0, largest=MAX_FACE_ID)
        after = number(request, "after", None, smallest=1, largest=MAX_FACE_ID)
        gallery = await gallery_of(request)
        place = None if after is None else await gallery.place(after)
        return await _stream(request, gallery.list(offset, limit, after=place))

    async def delete(self, request: web.Request) -> web.Response:
        """Forget one face."""
        refuse_misspelled(request, ("face_id",))
        face_id = number(request, "face_id", None, smallest=1, largest=MAX_FACE_ID)
        if face_id is None:
            raise InvalidRequest("There is no face_id; send it in the query (`?face_id=…`).")
        gallery = await gallery_of(request)
        note_names(request, Erasure(gallery=gallery.name, face_id=face_id))
        await gallery.remove(face_id, request[TIMINGS])
        return success({})


def success(data: dict[str, object]) -> web.Response:
    """The envelope of a request that was carried out."""
    return _envelope(_SUCCESS, Outcome(code="0"), data)


def failure(error: Exception, request: web.Request) -> web.Response:
    """The envelope of an exception that a handler of this API raised for the request, or the router before it."""
    if isinstance(error, web.HTTPException):
        return _failure(
            URI_NOT_FOUND, "uri_not_found", "There is no such path, or not with this method; see the API's document."
        )
    if isinstance(error, FaceServiceError):
        return _failure(_code_of(error, request), error.code, str(error))
    return _failure(
        UNKNOWN_ERROR, "unforeseen", "Something unforeseen went wrong; the service's log has it under the request id."
    )


def unreadable(reason: str, detail: str) -> web.Response:
    """The envelope of what can't be read as a request."""
    return _failure(MISSING_ARGS, reason, detail)


def _code_of(error: FaceServiceError, request: web.Request) -> tuple[int, str]:
    if isinstance(error, InvalidRequest):
        return MISSING_ARGS
    if isinstance(error, BadSignature):
        return BAD_SIGNATURE
    if isinstance(error, Unauthenticated):
        return BAD_DEVICE_ID
    return RECOGNITION_FAILED if routes.operation(request) == "recognise" else REGISTRATION_FAILED


def _failure(code: tuple[int, str], reason: str, detail: str) -> web.Response:
    return _envelope(code, Outcome(code=str(code[0]), reason=reason, detail=detail), {})


def _envelope(code: tuple[int, str], outcome: Outcome, data: dict[str, object]) -> web.Response:
    number, name = code
    response = web.json_response({"code": number, "error": name, "detail": outcome.detail, "data": data})
    response[OUTCOME] = outcome
    return response


def _remark(request: web.Request, in_form: str | None) -> str | None:
    """The query's remark, where it is empty the form's. Raises InvalidRequest where the query isn't UTF-8."""
    require_utf8(request)
    return request.query.get("remark") or in_form


def _match(match: Match, *, with_picture: bool, with_score: bool) -> dict[str, object]:
    found: dict[str, object] = {"remark": match.face.remark, "picture": match.face.picture if with_picture else ""}
    return {**found, "score": round(match.score, 4), "face_id": match.face.face_id} if with_score else found


async def _stream(request: web.Request, faces: AsyncIterator[StoredFace]) -> web.StreamResponse:
    """Write the faces to the socket as they come, so that memory doesn't grow with the gallery.

    A list that is small has its length on its head. A longer one is marked at its end: by chunks, for HTTP/1.0 by the
    connection's end. The first faces are read before the answer begins, so that a store that is away is answered with
    an envelope. Should it break off later, so does the connection: half a list must not look like a whole one.
    """
    begun = bytearray(b'{"code": 0, "error": "", "detail": "", "data": {"all_face": [')
    separator = b""
    async for face in faces:
        begun += separator + _item(face)
        separator = b", "
        if len(begun) > _SMALL_LIST:
            break
    else:
        response = web.Response(body=bytes(begun + _LIST_END), headers=_JSON)
        response[OUTCOME] = Outcome(code="0")
        return response
    streamed = web.StreamResponse(headers=_JSON)
    streamed[OUTCOME] = Outcome(code="0")
    if request.version < HttpVersion11:
        streamed.force_close()
    await streamed.prepare(request)
    await streamed.write(begun)
    async for face in faces:
        await streamed.write(separator + _item(face))
    await streamed.write_eof(_LIST_END)
    return streamed


def _item(face: StoredFace) -> bytes:
    return json.dumps({"face_id": face.face_id, "picture": face.picture, "remark": face.remark}).encode()
