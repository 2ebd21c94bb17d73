"""Registered faces: registering, listing, showing and deleting them."""

from __future__ import annotations

import base64
import hashlib

from aiohttp import ETag, web

from service import errors
from service.gallery.gallery import EnrolledFace
from service.http import routes
from service.http.callers import gallery_of
from service.http.forms import FormLimits
from service.http.keys import TIMINGS
from service.http.rest_api import examples
from service.http.rest_api.answers import (
    GALLERY_NAME,
    Box,
    Duplicate,
    FacePage,
    KnownFace,
    RegisteredFace,
    Registration,
)
from service.http.rest_api.bodies import read_photo
from service.http.rest_api.operations import Operation, Takes
from service.http.rest_api.photos import PHOTO_ERRORS, quality_of
from service.http.rest_api.queries import (
    FaceQuery,
    ListQuery,
    NoQuery,
    RegisterQuery,
    cursor_of,
    key_of_cursor,
    read_face_id,
)
from service.values import StoredFace


async def register(request: web.Request, query: RegisterQuery, limits: FormLimits) -> Registration:
    """Remember the photo's faces under the remark."""
    photo = await read_photo(request, limits)
    enrolled = await (await gallery_of(request)).enroll_faces(
        photo, query.remark, request[TIMINGS], faces=query.faces, quality=query.quality
    )
    return Registration(faces=[_registered(each) for each in enrolled])


async def list_faces(request: web.Request, query: ListQuery, _: FormLimits) -> FacePage:
    """A page of the list."""
    after = None if query.cursor is None else key_of_cursor(query.cursor)
    faces, last = await (await gallery_of(request)).page(query.limit, after=after, remark=query.remark)
    known = [_known(each, with_picture=query.include == "picture") for each in faces]
    return FacePage(faces=known, next_cursor=None if last is None else cursor_of(last))


async def show(request: web.Request, query: FaceQuery, _: FormLimits) -> KnownFace:
    """One face."""
    face = await (await gallery_of(request)).face(read_face_id(request))
    return _known(face, with_picture=query.include == "picture")


async def show_picture(request: web.Request, _query: NoQuery, _: FormLimits) -> web.Response:
    """A face's picture, which never changes; so a client that has it is told so."""
    face = await (await gallery_of(request)).face(read_face_id(request))
    picture = base64.b64decode(face.picture)
    tag = hashlib.sha256(picture).hexdigest()[:32]
    wanted = request.if_none_match or ()
    if any(each.value in {tag, "*"} for each in wanted):
        response = web.Response(status=304)
    else:
        response = web.Response(body=picture, content_type="image/jpeg")
    response.etag = ETag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


async def remove(request: web.Request, _query: NoQuery, _: FormLimits) -> web.Response:
    """Forget one face."""
    await (await gallery_of(request)).remove(read_face_id(request), request[TIMINGS])
    return web.Response(status=204)


FACE_OPERATIONS = (
    Operation(
        name="registerFaces",
        needs="register",
        tag="faces",
        method="POST",
        path=routes.FACES,
        summary="Register the faces of a photo.",
        description="The same photo with the same remark is one face, however often it is sent. Of several faces with "
        "`faces=all`, those of poor quality are left out.",
        query=RegisterQuery,
        handle=register,
        takes=Takes.PHOTO,
        status=201,
        answer=Registration,
        raises=(*PHOTO_ERRORS, errors.FaceNotFound, errors.PoorQuality, errors.MultipleFaces, errors.AlreadyRegistered),
        example=examples.REGISTRATION,
    ),
    Operation(
        name="listFaces",
        needs="list",
        tag="faces",
        method="GET",
        path=routes.FACES,
        summary="List the registered faces, the oldest first, page by page.",
        query=ListQuery,
        handle=list_faces,
        answer=FacePage,
        example=examples.PAGE,
    ),
    Operation(
        name="showFace",
        needs="list",
        tag="faces",
        method="GET",
        path=routes.FACE,
        summary="Show a registered face.",
        query=FaceQuery,
        handle=show,
        answer=KnownFace,
        raises=(errors.UnknownFace,),
        example=examples.KNOWN_FACE,
    ),
    Operation(
        name="deleteFace",
        needs="delete",
        tag="faces",
        method="DELETE",
        path=routes.FACE,
        summary="Delete a registered face.",
        description="After the answer the face is never returned again, not even after a crash.",
        query=NoQuery,
        handle=remove,
        status=204,
        raises=(errors.UnknownFace,),
    ),
    Operation(
        name="showPicture",
        needs="list",
        tag="faces",
        method="GET",
        path=routes.PICTURE,
        summary="Show the small picture that is kept of a face's photo.",
        description="With the header `If-None-Match` and the answer's `ETag` from before, the answer is 304.",
        query=NoQuery,
        handle=show_picture,
        media_type="image/jpeg",
        raises=(errors.UnknownFace,),
    ),
)


def _known(face: StoredFace, *, with_picture: bool) -> KnownFace:
    known = KnownFace(
        face_id=face.face_id,
        remark=face.remark,
        gallery=GALLERY_NAME,
        box=Box(**face.box._asdict()),
        landmarks=list(face.landmarks),
        detection_score=face.detection_score,
        registered_at=face.registered_at,
    )
    return known.model_copy(update={"picture": face.picture}) if with_picture else known


def _registered(enrolled: EnrolledFace) -> RegisteredFace:
    face, duplicate = enrolled.face, enrolled.duplicate_of
    return RegisteredFace(
        face_id=face.face_id,
        remark=face.remark,
        gallery=GALLERY_NAME,
        box=Box(**face.box._asdict()),
        landmarks=list(face.landmarks),
        detection_score=face.detection_score,
        quality=quality_of(enrolled.quality, None),
        duplicate_of=None
        if duplicate is None
        else Duplicate(
            remark=duplicate.neighbour.remark, face_id=duplicate.neighbour.face_id, score=round(duplicate.score, 4)
        ),
        registered_at=face.registered_at,
    )
