"""Whole galleries out of a running service and into it, as the lines that the indexer's exports have."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web
from pydantic import Field

from service import errors
from service.http import routes
from service.http.callers import gallery_of
from service.http.current import opened_for
from service.http.forms import FormLimits
from service.http.keys import CALLER, OUTCOME
from service.http.request_log import Outcome
from service.http.rest_api.answers import Answer
from service.http.rest_api.archive_lines import archive_lines
from service.http.rest_api.operations import Operation, Takes
from service.http.rest_api.queries import GalleryQuery

CONTENT_TYPE = "application/x-ndjson"


class ImportedFaces(Answer):
    """What became of the faces of an archive."""

    added: int = Field(ge=0, description="They are new.")
    known: int = Field(ge=0, description="They were there already.")
    taken: int = Field(ge=0, description="They were not added: other faces have their numbers.")


async def export(request: web.Request, query: GalleryQuery, _: FormLimits) -> web.StreamResponse:
    """Every face, line by line; half an export has no end line, and its connection breaks off."""
    gallery = await _scope(request, query)
    async with aclosing(opened_for(request).transfer.export(gallery)) as lines:
        first = await anext(lines)  # before the head: what fails by then has a status
        name = f'attachment; filename="{gallery or "faces"}.jsonl"'
        response = web.StreamResponse(
            headers={"Content-Type": CONTENT_TYPE, "Content-Disposition": name, "Cache-Control": "no-store"}
        )
        response[OUTCOME] = Outcome(code="200")
        await response.prepare(request)
        await response.write(first)
        async for some in lines:
            await response.write(some)
    await response.write_eof()
    return response


async def import_(request: web.Request, query: GalleryQuery, limits: FormLimits) -> ImportedFaces:
    """Add the faces of an export that are not there yet."""
    gallery = await _scope(request, query)
    done = await opened_for(request).transfer.import_lines(archive_lines(request, limits), gallery)
    return ImportedFaces(added=done.added, known=done.known, taken=done.taken)


async def _scope(request: web.Request, query: GalleryQuery) -> str | None:
    """The one gallery that is meant, None for all: a caller who may use some only has one named."""
    if query.gallery is None and request[CALLER].galleries is None:
        return None
    return (await gallery_of(request, query.gallery)).name


TRANSFER_OPERATIONS = (
    Operation(
        name="exportFaces",
        needs="export",
        tag="moving",
        method="GET",
        path=routes.EXPORT,
        summary="Export every face with its vector, as JSON lines.",
        description="All galleries, or that of `gallery`: the faces of the moment it began. A whole export ends with "
        "a line `end`.",
        query=GalleryQuery,
        handle=export,
        media_type=CONTENT_TYPE,
        raises=(errors.UnknownGallery,),
    ),
    Operation(
        name="importFaces",
        needs="import",
        tag="moving",
        method="POST",
        path=routes.IMPORT,
        summary="Import an export.",
        description="Faces go into the galleries that they were in, or all into `gallery`. It may be repeated: faces "
        "that are there are not added again. The body may be compressed as a `.zst` or `.gz` file is.",
        query=GalleryQuery,
        handle=import_,
        takes=Takes.ARCHIVE,
        answer=ImportedFaces,
        raises=(errors.UnknownGallery, errors.UnusableArchive, errors.UnsupportedBody, errors.ContractMismatch),
        example={"added": 12, "known": 3, "taken": 0},
    ),
)
