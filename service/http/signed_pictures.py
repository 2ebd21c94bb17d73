"""Pictures of faces at addresses that are signed, for Qdrant's dashboard and other pages that can't send a key."""

from __future__ import annotations

from aiohttp import web

from service.errors import OperationDenied
from service.http import routes
from service.http.current import opened_for
from service.http.rest_api.faces import picture_of
from service.http.rest_api.paths import read_face_id
from service.picture_addresses import SIGNATURE, PictureAddresses


def signed_picture_routes(addresses: PictureAddresses) -> list[web.RouteDef]:
    """The one path with its handler. It asks nobody who they are: the address says that its reader may."""

    async def show(request: web.Request) -> web.Response:
        """The picture. Raises OperationDenied before anything is looked up, and UnknownFace."""
        face_id = read_face_id(request)
        signatures = request.query.getall(SIGNATURE, [])
        if len(signatures) != 1 or not addresses.is_signed(face_id, signatures[0]):
            raise OperationDenied(
                "This address opens no picture: it isn't as it was made, or FACE_PICTURE_KEY was changed since; ask "
                "`GET /v1/faces/{face_id}/picture` with a key."
            )
        return picture_of(request, await opened_for(request).galleries.face(face_id))

    return [web.get(routes.SIGNED_PICTURE, show, allow_head=False)]
