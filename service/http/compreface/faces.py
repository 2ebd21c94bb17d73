"""Examples, as CompreFace calls registered faces: added, listed, shown and deleted."""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web

from service.errors import UnknownFace, UnknownPerson
from service.gallery.gallery import Gallery
from service.http import routes
from service.http.callers import gallery_of
from service.http.compreface.bodies import ImageIds, read_body, read_photo
from service.http.compreface.operations import Operation
from service.http.compreface.queries import (
    MAX_PAGE_SIZE,
    FacesQuery,
    PageQuery,
    face_id_of,
    image_id,
    read,
    read_image_id,
    read_subject,
    require_subject,
)
from service.http.compreface.subjects import remove_everybody
from service.http.forms import FormLimits
from service.http.keys import TIMINGS


async def add(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """Remember the only face of a photo under a subject; the same photo again is the same example."""
    subject = require_subject(request)
    read(request, FacesQuery)  # which may be wrong; how sure the detector must be, FACE_MIN_SCORE says
    gallery = await gallery_of(request)
    photo = await read_photo(request, limits)
    (enrolled,) = await gallery.enroll_faces(photo, subject, request[TIMINGS], faces="single", quality=None)
    return {"image_id": image_id(enrolled.face.face_id), "subject": subject}


async def list_faces(request: web.Request, _: FormLimits) -> dict[str, Any]:
    """A page of the examples, the oldest first, all or those of a subject."""
    query, subject = read(request, PageQuery), read_subject(request)
    gallery = await gallery_of(request)
    total, size = await _count(gallery, subject), min(query.size or 1, MAX_PAGE_SIZE)
    faces = []
    if query.page * size < total:
        faces = [
            {"image_id": image_id(each.face_id), "subject": each.remark}
            async for each in gallery.list(query.page * size, size, remark=subject)
        ]
    return {
        "faces": faces,
        "page_number": query.page,
        "page_size": size,
        "total_pages": -(-total // size),
        "total_elements": total,
    }


async def remove_all(request: web.Request, _: FormLimits) -> dict[str, Any]:
    """Forget all examples, or those of a subject, of whom there needn't be any."""
    subject = read_subject(request)
    gallery = await gallery_of(request)
    if subject is None:
        return {"deleted": (await remove_everybody(gallery)).faces}
    try:
        return {"deleted": await gallery.people.remove(subject)}
    except UnknownPerson:
        return {"deleted": 0}


async def remove(request: web.Request, _: FormLimits) -> dict[str, Any]:
    """Forget one example."""
    return await _removed(await gallery_of(request), read_image_id(request), request)


async def remove_several(request: web.Request, limits: FormLimits) -> list[dict[str, Any]]:
    """Forget some examples, and tell of those that were there."""
    gallery = await gallery_of(request)
    removed = []
    for each in (await read_body(request, limits, ImageIds)).root:
        try:
            removed.append(await _removed(gallery, face_id_of(request, each), request))
        except UnknownFace:
            continue
    return removed


async def download(request: web.Request, _: FormLimits) -> web.Response:
    """The small picture that is kept of an example's photo; as from CompreFace, nothing where there is no example."""
    gallery = await gallery_of(request)
    try:
        face = await gallery.face(read_image_id(request))
    except UnknownFace:
        return web.Response(body=b"", content_type="application/octet-stream")
    response = web.Response(body=base64.b64decode(face.picture), content_type="image/jpeg")
    response.headers["Cache-Control"] = "private, no-cache"
    return response


FACE_OPERATIONS = (
    Operation(needs="register", method="POST", path=routes.COMPREFACE_FACES, handle=add, status=201),
    Operation(needs="list", method="GET", path=routes.COMPREFACE_FACES, handle=list_faces),
    Operation(needs="delete", method="DELETE", path=routes.COMPREFACE_FACES, handle=remove_all),
    Operation(needs="delete", method="POST", path=routes.COMPREFACE_DELETION, handle=remove_several),
    Operation(needs="delete", method="DELETE", path=routes.COMPREFACE_FACE, handle=remove),
    Operation(needs="list", method="GET", path=routes.COMPREFACE_IMAGE, handle=download),
    Operation(needs="list", method="GET", path=routes.COMPREFACE_STATIC_IMAGE, handle=download),
)


async def _count(gallery: Gallery, subject: str | None) -> int:
    """How many examples there are, of a subject where one is named."""
    if subject is None:
        return await gallery.count()
    try:
        return (await gallery.people.person(subject)).faces
    except UnknownPerson:
        return 0


async def _removed(gallery: Gallery, face_id: int, request: web.Request) -> dict[str, Any]:
    face = await gallery.face(face_id)
    await gallery.remove(face_id, request[TIMINGS])
    return {"image_id": image_id(face_id), "subject": face.remark}
