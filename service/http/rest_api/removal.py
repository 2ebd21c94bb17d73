"""Many faces deleted with one request: all of a gallery, or those that a device registered there."""

from __future__ import annotations

from aiohttp import web

from service import errors
from service.audit.events import Erasure
from service.errors import InvalidRequest
from service.http import routes
from service.http.audit import erase_faces, note_names
from service.http.callers import gallery_of
from service.http.forms import FormLimits
from service.http.rest_api import examples
from service.http.rest_api.gallery_answers import FacesRemoval
from service.http.rest_api.operations import Operation
from service.http.rest_api.queries import RemovalQuery


async def remove(request: web.Request, query: RemovalQuery, _: FormLimits) -> FacesRemoval:
    """Forget them, some at a time; their names leave the audit trail before, so that a repetition misses none."""
    gallery = await gallery_of(request, query.gallery)
    if (query.device is None) == (query.confirm is None):
        raise InvalidRequest(
            "Say which faces: `device` for those that a device registered, or `confirm` with the gallery's name."
        )
    if query.confirm not in (None, gallery.name):
        raise InvalidRequest(f"`confirm` names another gallery than {gallery.name}, whose faces would go; correct it.")
    removed = 0
    async for face_ids in gallery.remove_in_steps(device_id=query.device):
        if query.device is not None:
            await erase_faces(request, gallery.name, face_ids)
        removed += len(face_ids)
    if query.device is None:
        note_names(request, Erasure(gallery=gallery.name))
    return FacesRemoval(gallery=gallery.name, removed=removed)


REMOVAL_OPERATIONS = (
    Operation(
        name="deleteFaces",
        needs="galleries",
        tag="faces",
        method="DELETE",
        path=routes.FACES,
        summary="Delete all faces of a gallery, or those that a device registered.",
        description="One of `device` and `confirm` is needed. The gallery stays. Cut off, it is repeated: then it goes "
        "on, and answers how many it deleted itself. Faces that are registered meanwhile may stay.",
        query=RemovalQuery,
        handle=remove,
        answer=FacesRemoval,
        raises=(errors.UnknownGallery,),
        example=examples.FACES_REMOVAL,
    ),
)
