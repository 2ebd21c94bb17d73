"""What the service works with: its model, and how large its gallery is."""

from __future__ import annotations

from aiohttp import web

from service import __version__, errors
from service.http import routes
from service.http.callers import gallery_of, visible_galleries
from service.http.current import opened_for
from service.http.forms import FormLimits
from service.http.rest_api import examples
from service.http.rest_api.answers import Model
from service.http.rest_api.gallery_answers import Stats
from service.http.rest_api.operations import Operation
from service.http.rest_api.queries import GalleryQuery, NoQuery


async def show_model(request: web.Request, _query: NoQuery, _: FormLimits) -> Model:
    """The model of the gallery."""
    reader = opened_for(request).photo_reader
    contract = reader.contract
    return Model(
        model=contract.model,
        digest=contract.digest,
        preprocessing=contract.preprocessing,
        dimension=contract.dimension,
        verification_threshold=reader.verification_threshold,
        version=__version__,
    )


async def show_stats(request: web.Request, query: GalleryQuery, _: FormLimits) -> Stats:
    """How many faces and galleries there are."""
    gallery = await gallery_of(request, query.gallery)
    return Stats(
        gallery=gallery.name,
        faces=await gallery.count(),
        galleries=len(visible_galleries(request, await opened_for(request).galleries.list())),
    )


STATE_OPERATIONS = (
    Operation(
        name="showModel",
        needs="list",
        tag="service",
        method="GET",
        path=routes.MODEL,
        summary="Show the model and its thresholds.",
        query=NoQuery,
        handle=show_model,
        answer=Model,
        example=examples.MODEL,
    ),
    Operation(
        name="showStats",
        needs="list",
        tag="service",
        method="GET",
        path=routes.STATS,
        summary="Show how large a gallery is, and how many there are.",
        query=GalleryQuery,
        handle=show_stats,
        answer=Stats,
        raises=(errors.UnknownGallery,),
        example=examples.STATS,
    ),
)
