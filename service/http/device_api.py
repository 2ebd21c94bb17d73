"""The device contract: four operations, each answered, errors too, with HTTP status 200 and the same envelope."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import unquote_to_bytes

from aiohttp import web

from service.errors import BadSignature, FaceServiceError, Unauthenticated
from service.gallery.gallery import Gallery
from service.http.forms import BadForm, FormLimits, expect, read_form
from service.timings import Timings
from service.values import MAX_FACE_ID, MAX_REMARK, StoredFace

GALLERY = web.AppKey("gallery", Gallery)
TIMINGS = web.RequestKey("stages", Timings)
DEVICE_ID = web.RequestKey("device_id", str)
"""Which device the request names, where devices must sign; by the time that a handler runs, it has."""
CODE = web.ResponseKey("code", str)
"""An answer's code, for the log."""

MATCHES = 5
"""How many faces a recognition returns, by the contract."""

UNKNOWN_ERROR = (999, "unknow_error")  # spelled so in the contract
URI_NOT_FOUND = (1000, "uri_not_found")
MISSING_ARGS = (1001, "missing_args")
BAD_SIGNATURE = (1002, "bad_signature")
BAD_DEVICE_ID = (1003, "bad_device_id")
REGISTRATION_FAILED = (1004, "registration_failed")
RECOGNITION_FAILED = (1005, "recognition_failed")


class DeviceApi:
    """The handlers; `routes` says which path reaches which. The gallery is the application's, under GALLERY."""

    def __init__(self, limits: FormLimits, delete_by_get: bool) -> None:
        self._limits = limits
        self._delete_by_get = delete_by_get

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/registration_face", self.register, expect_handler=expect),
            web.post("/recognition_face", self.recognise, expect_handler=expect),
            web.get("/get_registration_face", self.list_or_delete, allow_head=False),
            web.get("/delete_registration_face", self.delete, allow_head=False),
            web.post("/delete_registration_face", self.delete),
            web.delete("/delete_registration_face", self.delete),
        ]

    async def register(self, request: web.Request) -> web.Response:
        """Remember the largest face of the photo under the remark."""
        form = await read_form(request, self._limits)
        remark = _remark(request, form.remark)
        if not remark:
            raise BadForm("There is no remark; send it in the query (`?remark=…`) or as a form field.")
        if len(remark) > MAX_REMARK:
            raise BadForm(f"The remark is longer than {MAX_REMARK} characters; shorten it.")
        await request.app[GALLERY].enroll(form.image, remark, request[TIMINGS], request.get(DEVICE_ID))
        return success({})

    async def recognise(self, request: web.Request) -> web.Response:
        """The five known faces most like the largest face of the photo."""
        form = await read_form(request, self._limits)
        matches = await request.app[GALLERY].identify(form.image, MATCHES, request[TIMINGS])
        found = [{"remark": match.face.remark, "picture": match.face.picture} for match in matches]
        return success({"recognition_face": found})

    async def list_or_delete(self, request: web.Request) -> web.StreamResponse:
        """Every known face; or, by a slip of the contract's pen that devices rely on, the deletion of one."""
        if "face_id" in request.query:
            if not self._delete_by_get:  # a list would have the device believe that the face is gone
                raise BadForm("Deleting by this path is switched off; use `/delete_registration_face?face_id=…`.")
            return await self.delete(request)
        offset = _number(request, "offset", 0, smallest=0)
        limit = _number(request, "limit", None, smallest=0)
        return await _stream(request, request.app[GALLERY].list(offset or 0, limit))

    async def delete(self, request: web.Request) -> web.Response:
        """Forget one face."""
        face_id = _number(request, "face_id", None, smallest=1)
        if face_id is None:
            raise BadForm("There is no face_id; send it in the query (`?face_id=…`).")
        await request.app[GALLERY].remove(face_id, request[TIMINGS])
        return success({})


def operation(request: web.Request) -> str | None:
    """Which of the four operations a request asks for; None where it is another one's path."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else ""
    if path == "/get_registration_face":
        return "delete" if "face_id" in request.query else "list"
    return _OPERATIONS.get(path)


_OPERATIONS = {
    "/registration_face": "register",
    "/recognition_face": "recognise",
    "/delete_registration_face": "delete",
}


def success(data: dict[str, object]) -> web.Response:
    return _envelope((0, ""), "", data)


def failure(error: Exception, path: str) -> web.Response:
    """The envelope of an exception that a handler of this API raised, or the router before it."""
    if isinstance(error, web.HTTPException):
        return _envelope(URI_NOT_FOUND, "There is no such path, or not with this method; see the API's document.")
    if isinstance(error, BadForm):
        return _envelope(MISSING_ARGS, str(error))
    if isinstance(error, Unauthenticated):
        return _envelope(BAD_SIGNATURE if isinstance(error, BadSignature) else BAD_DEVICE_ID, str(error))
    if isinstance(error, FaceServiceError):
        return _envelope(RECOGNITION_FAILED if path == "/recognition_face" else REGISTRATION_FAILED, str(error))
    return _envelope(UNKNOWN_ERROR, "Something unforeseen went wrong; the service's log has it under the request id.")


def _envelope(code: tuple[int, str], detail: str, data: dict[str, object] | None = None) -> web.Response:
    number, name = code
    body = {"code": number, "error": name, "detail": detail, "data": data or {}}
    response = web.json_response(body)
    response[CODE] = str(number)
    return response


def _remark(request: web.Request, in_form: str | None) -> str | None:
    """The query's remark, else the form's. Raises BadForm where the query isn't UTF-8: it would be stored garbled."""
    try:
        unquote_to_bytes(request.rel_url.raw_query_string).decode()
    except UnicodeDecodeError:
        raise BadForm("The remark in the query is not UTF-8; percent-encode its UTF-8 bytes.") from None
    return request.query.get("remark", in_form)


def _number(request: web.Request, name: str, default: int | None, smallest: int) -> int | None:
    """A whole number from the query. Raises BadForm for anything else."""
    text = request.query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 20 and smallest <= (number := int(text)) <= MAX_FACE_ID:
        return number
    raise BadForm(f"{name} must be a whole number from {smallest} to {MAX_FACE_ID}.")


async def _stream(request: web.Request, faces: AsyncIterator[StoredFace]) -> web.StreamResponse:
    """Write the faces to the socket as they come, so that memory doesn't grow with the gallery.

    The first is read before the answer begins, so that a store that is away is answered with an envelope. Should it
    break off later, so does the connection: half a list must not look like a whole one.
    """
    first = await anext(faces, None)
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    response[CODE] = "0"
    await response.prepare(request)
    await response.write(b'{"code": 0, "error": "", "detail": "", "data": {"all_face": [')
    if first is not None:
        await response.write(_item(first))
        async for face in faces:
            await response.write(b", " + _item(face))
    await response.write(b"]}}")
    await response.write_eof()
    return response


def _item(face: StoredFace) -> bytes:
    return json.dumps({"face_id": face.face_id, "picture": face.picture, "remark": face.remark}).encode()
