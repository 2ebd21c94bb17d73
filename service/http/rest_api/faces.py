"""Registered faces: registering, listing, showing and deleting them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from aiohttp import ETag, web

from service import errors
from service.audit.events import Erasure, Renaming, Subject
from service.gallery.registering import EnrolledFace
from service.http import routes
from service.http.audit import note, note_names
from service.http.callers import gallery_of
from service.http.forms import FormLimits
from service.http.keys import DEVICE_ID, TIMINGS
from service.http.rest_api import examples
from service.http.rest_api.answers import Box
from service.http.rest_api.bodies import read_body, read_registration
from service.http.rest_api.gallery_answers import Duplicate, FacePage, KnownFace, RegisteredFace, Registration
from service.http.rest_api.json_bodies import FaceChangesBody
from service.http.rest_api.operations import Operation, Takes
from service.http.rest_api.passing_photos import PassingPhotos, photos_for
from service.http.rest_api.paths import read_face_id
from service.http.rest_api.photos import PHOTO_ERRORS, quality_of
from service.http.rest_api.queries import FaceQuery, GalleryQuery, ListQuery, RegisterQuery, cursor_of, key_of_cursor
from service.values import FaceChanges, StoredFace

FACE_ERRORS = (errors.UnknownFace, errors.UnknownGallery)
"""What every operation may say that is about one face."""


async def register(request: web.Request, query: RegisterQuery, limits: FormLimits) -> Registration:
    """Remember the photo's faces under the remark."""
    gallery = await gallery_of(request, query.gallery)
    told = await read_registration(request, query, limits)
    enrolled = await gallery.enroll_faces(
        told.photo,
        told.remark,
        request[TIMINGS],
        faces=query.faces,
        quality=query.quality,
        metadata=told.metadata,
        expires_at=told.expires_at,
        device_id=request.get(DEVICE_ID),
    )
    note(request, *(Subject(remark=each.face.remark, face_id=each.face.face_id) for each in enrolled))
    return Registration(faces=[registered(each) for each in enrolled])


async def list_faces(request: web.Request, query: ListQuery, _: FormLimits) -> FacePage:
    """A page of the list."""
    gallery, photos = await gallery_of(request, query.gallery), photos_for(request, query.include)
    faces, last = await gallery.page(query.limit, after=key_of_cursor(query.cursor), remark=query.remark)
    known = [_known(each, with_picture=query.include == "picture", photos=photos) for each in faces]
    return FacePage(faces=known, next_cursor=None if last is None else cursor_of(last))


async def show(request: web.Request, query: FaceQuery, _: FormLimits) -> KnownFace:
    """One face."""
    gallery, photos = await gallery_of(request, query.gallery), photos_for(request, query.include)
    face = await gallery.face(read_face_id(request))
    return _known(face, with_picture=query.include == "picture", photos=photos)


async def change(request: web.Request, query: GalleryQuery, limits: FormLimits) -> KnownFace:
    """Give one face another remark, other metadata or another end of its time."""
    gallery, face_id = await gallery_of(request, query.gallery), read_face_id(request)
    body = await read_body(request, limits, FaceChangesBody)

    def edit(face: StoredFace) -> FaceChanges:
        said = body.model_fields_set
        return FaceChanges(
            remark=body.remark if "remark" in said else face.remark,
            metadata=body.metadata if "metadata" in said else face.metadata,
            expires_at=body.expires_at if "expires_at" in said else face.expires_at,
        )

    face = await gallery.change(face_id, edit)
    note_names(request, Renaming(gallery=gallery.name, face_id=face_id, new=face.remark))
    return _known(face)


async def show_picture(request: web.Request, query: GalleryQuery, _: FormLimits) -> web.Response:
    """A face's picture, which never changes; so a client that has it is told so."""
    return picture_of(request, await (await gallery_of(request, query.gallery)).face(read_face_id(request)))


def picture_of(request: web.Request, face: StoredFace) -> web.Response:
    """The picture of a face, or 304 where the client says that it has it."""
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


async def remove(request: web.Request, query: GalleryQuery, _: FormLimits) -> web.Response:
    """Forget one face."""
    gallery, face_id = await gallery_of(request, query.gallery), read_face_id(request)
    note_names(request, Erasure(gallery=gallery.name, face_id=face_id))
    await gallery.remove(face_id, request[TIMINGS])
    return web.Response(status=204)


FACE_OPERATIONS = (
    Operation(
        name="registerFaces",
        needs="register",
        tag="faces",
        method="POST",
        path=routes.FACES,
        summary="Register the faces of a photo.",
        description="The same photo with the same remark is one face, however often it is sent; it takes over "
        "`metadata` and `expires_at` where they come again. These two and `remark` stand in the query, or beside the "
        "photo: as parts of the form, or as members of the JSON. Of several faces with `faces=all`, those of poor "
        "quality are left out.",
        query=RegisterQuery,
        handle=register,
        takes=Takes.REGISTRATION,
        status=201,
        answer=Registration,
        raises=(
            *(*PHOTO_ERRORS, errors.FaceNotFound, errors.PoorQuality, errors.MultipleFaces),
            *(errors.AlreadyRegistered, errors.UnknownGallery),
        ),
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
        raises=(errors.UnknownGallery,),
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
        raises=FACE_ERRORS,
        example=examples.KNOWN_FACE,
    ),
    Operation(
        name="changeFace",
        needs="change",
        tag="faces",
        method="PATCH",
        path=routes.FACE,
        summary="Change what is kept beside a registered face.",
        description="What isn't in the body stays as it is; null takes metadata or the end of the time away.",
        query=GalleryQuery,
        handle=change,
        takes=FaceChangesBody,
        answer=KnownFace,
        raises=(*FACE_ERRORS, errors.UnsupportedBody),
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
        query=GalleryQuery,
        handle=remove,
        status=204,
        raises=FACE_ERRORS,
    ),
    Operation(
        name="showPicture",
        needs="list",
        tag="faces",
        method="GET",
        path=routes.PICTURE,
        summary="Show the small picture that is kept of a face's photo.",
        description="With the header `If-None-Match` and the answer's `ETag` from before, the answer is 304.",
        query=GalleryQuery,
        handle=show_picture,
        media_type="image/jpeg",
        raises=FACE_ERRORS,
    ),
)


def _kept(face: StoredFace) -> dict[str, Any]:
    """The members that every answer has about a face."""
    return {
        "face_id": face.face_id,
        "remark": face.remark,
        "gallery": face.gallery,
        "box": Box(**face.box._asdict()),
        "landmarks": list(face.landmarks),
        "detection_score": face.detection_score,
        "registered_at": face.registered_at,
        "metadata": None if face.metadata is None else dict(face.metadata),
        "expires_at": face.expires_at,
    }


def _known(face: StoredFace, *, with_picture: bool = False, photos: PassingPhotos | None = None) -> KnownFace:
    asked: dict[str, Any] = {"picture": face.picture} if with_picture else {}
    if photos is not None:
        asked["photo"] = photos(face.face_id, face.gallery)
    return KnownFace(**_kept(face), **asked)


def registered(enrolled: EnrolledFace) -> RegisteredFace:
    """As /v1 tells of a face that was registered."""
    known = enrolled.duplicate_of
    duplicate = None
    if known is not None:
        neighbour = known.neighbour
        duplicate = Duplicate(remark=neighbour.remark, face_id=neighbour.face_id, score=round(known.score, 4))
    return RegisteredFace(
        **_kept(enrolled.face),
        new=enrolled.is_new,
        quality=quality_of(enrolled.quality, None),
        duplicate_of=duplicate,
    )
