"""Galleries: sets of faces that know nothing of each other, which can be made, listed, shown and deleted."""

from __future__ import annotations

from aiohttp import web

from service import errors
from service.audit.events import Erasure
from service.http import routes
from service.http.audit import note_names
from service.http.callers import gallery_name, gallery_of, visible_galleries
from service.http.current import opened_for
from service.http.forms import FormLimits
from service.http.rest_api import examples
from service.http.rest_api.gallery_answers import Gallery, GalleryList, ListedGallery
from service.http.rest_api.operations import Operation, as_json
from service.http.rest_api.paths import read_gallery_name
from service.http.rest_api.queries import NoQuery


async def list_galleries(request: web.Request, _query: NoQuery, _: FormLimits) -> GalleryList:
    """All galleries that the caller may use."""
    found = visible_galleries(request, await opened_for(request).galleries.list())
    return GalleryList(galleries=[ListedGallery(gallery=each.name, created_at=each.created_at) for each in found])


async def show(request: web.Request, _query: NoQuery, _: FormLimits) -> Gallery:
    """One gallery."""
    return await _told(request, read_gallery_name(request))


async def create(request: web.Request, _query: NoQuery, _: FormLimits) -> web.Response:
    """Make one gallery, unless it is there."""
    name = gallery_name(request, read_gallery_name(request))
    made = await opened_for(request).galleries.create(name)
    return as_json(await _told(request, name), 201 if made else 200)


async def remove(request: web.Request, _query: NoQuery, _: FormLimits) -> web.Response:
    """Forget one gallery and its faces."""
    name = gallery_name(request, read_gallery_name(request))
    note_names(request, Erasure(gallery=name))
    await opened_for(request).galleries.remove(name)
    return web.Response(status=204)


async def _told(request: web.Request, name: str) -> Gallery:
    gallery = await gallery_of(request, name)
    entry = await opened_for(request).galleries.entry(name)
    return Gallery(gallery=name, created_at=entry.created_at, faces=await gallery.count())


GALLERY_OPERATIONS = (
    Operation(
        name="listGalleries",
        needs="list",
        tag="galleries",
        method="GET",
        path=routes.GALLERIES,
        summary="List the galleries.",
        description="Those that the caller may use. A face of one gallery is never found in another; `default` is "
        "always there.",
        query=NoQuery,
        handle=list_galleries,
        answer=GalleryList,
        example=examples.GALLERIES,
    ),
    Operation(
        name="showGallery",
        needs="list",
        tag="galleries",
        method="GET",
        path=routes.GALLERY,
        summary="Show a gallery.",
        query=NoQuery,
        handle=show,
        answer=Gallery,
        raises=(errors.UnknownGallery,),
        example=examples.GALLERY,
    ),
    Operation(
        name="createGallery",
        needs="galleries",
        tag="galleries",
        method="PUT",
        path=routes.GALLERY,
        summary="Make a gallery.",
        description="One that is there already stays as it is; the answer is 200 then.",
        query=NoQuery,
        handle=create,
        status=201,
        or_status=200,
        answer=Gallery,
        raises=(errors.UnknownGallery,),
        example=examples.GALLERY,
    ),
    Operation(
        name="deleteGallery",
        needs="galleries",
        tag="galleries",
        method="DELETE",
        path=routes.GALLERY,
        summary="Delete a gallery and all its faces.",
        description="`default` can't be deleted. After the answer its faces are never returned again.",
        query=NoQuery,
        handle=remove,
        status=204,
        raises=(errors.UnknownGallery,),
    ),
)
