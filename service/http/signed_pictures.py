"""Pictures of faces at addresses that are signed, for Qdrant's dashboard and other pages that can't send a key."""

from __future__ import annotations

from aiohttp import web

from service.errors import OperationDenied
from service.http import routes
from service.http.current import opened_for
from service.http.rest_api.faces import picture_of
from service.http.rest_api.paths import read_face_id
from service.picture_addresses import EXPIRES, GALLERY, SIGNATURE, PictureAddresses
from service.values import StoredFace

_LASTING, _PASSING = {SIGNATURE}, {SIGNATURE, EXPIRES, GALLERY}
"""The parameters of an address without end, and of one that expires."""


def signed_picture_routes(addresses: PictureAddresses) -> list[web.RouteDef]:
    """The one path with its handler. It asks nobody who they are: the address says that its reader may."""

    async def show(request: web.Request) -> web.Response:
        """The picture. Raises OperationDenied before anything is looked up, UnknownFace and UnknownGallery."""
        return picture_of(request, await _face(request, addresses))

    return [web.get(routes.SIGNED_PICTURE, show, allow_head=False)]


async def _face(request: web.Request, addresses: PictureAddresses) -> StoredFace:
    """The face that the address was made for."""
    face_id, query = read_face_id(request), request.query
    named, signature = set(query), query.get(SIGNATURE, "")
    if len(query) == len(named) and named == _LASTING and addresses.is_signed(face_id, signature):
        return await opened_for(request).galleries.face(face_id)
    if len(query) == len(named) and named == _PASSING:
        gallery, expires = query[GALLERY], query[EXPIRES]
        if addresses.is_passing(face_id, signature, gallery=gallery, expires=expires):
            if addresses.is_over(expires):
                raise OperationDenied("This address has expired; ask for the face again with `include=photo`.")
            return await (await opened_for(request).galleries.of(gallery)).face(face_id)
    raise OperationDenied(
        "This address opens no picture: it isn't as it was made, or FACE_PICTURE_KEY was changed since; ask "
        "`GET /v1/faces/{face_id}/picture` with a key."
    )
