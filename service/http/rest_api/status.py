"""How the service is doing and who called lately, for the console and other eyes of an operator."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from service import __version__, errors
from service.http import routes
from service.http.callers import gallery_of, require_all_galleries
from service.http.current import opened_for
from service.http.forms import FormLimits
from service.http.keys import OVERVIEW
from service.http.rest_api import examples
from service.http.rest_api import status_answers as answers
from service.http.rest_api.operations import Operation
from service.http.rest_api.queries import GalleryQuery, NoQuery


async def show_status(request: web.Request, query: GalleryQuery, _: FormLimits) -> answers.Status:
    """What runs, and how it is doing."""
    overview, reader = request.app[OVERVIEW], opened_for(request).photo_reader
    settings = overview.settings
    gallery = await gallery_of(request, query.gallery)
    faces, disk = await gallery.count(), await overview.disk()
    threshold = reader.identification_threshold(faces)
    return answers.Status(
        version=__version__,
        uptime_s=int(overview.uptime_s),
        model=reader.contract.model,
        precision=settings.precision,
        gallery=gallery.name,
        faces=faces,
        threshold=None if threshold is None else round(threshold, 4),
        measured=threshold is not None and threshold != settings.threshold,
        fpir=settings.fpir,
        photos_waiting=overview.photos_waiting(),
        crops_waiting=overview.crops_waiting(),
        max_queue=settings.max_queue,
        disk=None if disk is None else answers.Disk(**asdict(disk)),
        stages=[answers.StageTime(**asdict(each)) for each in overview.recent.stages()],
        warnings=[answers.Warned(**asdict(each)) for each in overview.warnings],
    )


async def list_devices(request: web.Request, _query: NoQuery, _: FormLimits) -> answers.CallingDevices:
    """Who called lately; for those only who may see every gallery, which no device may."""
    require_all_galleries(request)
    return answers.CallingDevices(
        devices=[
            answers.CallingDevice(
                name=each.name,
                client=each.client,
                last_at=each.last_at,
                requests=each.requests,
                refusals=[answers.Refusal(reason=reason, count=count) for reason, count in each.refusals.most_common()],
            )
            for each in request.app[OVERVIEW].recent.callers()
        ]
    )


STATUS_OPERATIONS = (
    Operation(
        name="showStatus",
        needs="list",
        tag="service",
        method="GET",
        path=routes.STATUS,
        summary="Show what runs, and how it is doing.",
        query=GalleryQuery,
        handle=show_status,
        answer=answers.Status,
        raises=(errors.UnknownGallery,),
        example=examples.STATUS,
    ),
    Operation(
        name="listDevices",
        needs="list",
        tag="service",
        method="GET",
        path=routes.DEVICES,
        summary="List who called since the service started, and why requests weren't carried out.",
        description="Devices and keys by their names, others by their addresses; this process remembers some hundred.",
        query=NoQuery,
        handle=list_devices,
        answer=answers.CallingDevices,
        example=examples.DEVICES,
    ),
)
