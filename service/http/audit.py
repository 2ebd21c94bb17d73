"""Tells the audit trail what a request asked for and what became of it, and the retention whom it was about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service import errors
from service.audit.events import Erasure, Event, Renaming, Subject
from service.audit.trail import Trail
from service.devices.operations import OperationWord
from service.errors import AuditUnavailable, FaceServiceError
from service.http import routes
from service.http.keys import AUDIT_NOTES, CALLER, GALLERY_NAME, REQUEST_ID, REQUEST_LOG, RETENTION, TRAIL
from service.settings import Settings
from service.values import StoredFace

_LEFT_OUT = frozenset({"list", "events"})
"""Operations that aren't written down: they are asked all the time, and change nothing. The log has them."""
_ABOUT_NOBODY = frozenset({routes.DETECT, routes.EMBED})
_BEFORE = frozenset({"export"})
"""Operations that send data on their way before they end: they are written down first."""


@dataclass(slots=True)
class Notes:
    """Whom a request's address names, and what its handler has said since."""

    asked: tuple[Subject, ...] = ()
    subjects: list[Subject] = field(default_factory=list)
    change_of_names: Erasure | Renaming | None = None


def note(request: web.Request, *subjects: Subject) -> None:
    """Say whom a request is about; nothing where it isn't written down."""
    if AUDIT_NOTES in request:
        request[AUDIT_NOTES].subjects.extend(subjects)


def matched(face: StoredFace, score: float) -> Subject:
    """Who was recognised, by his best face."""
    return Subject(remark=face.remark, face_id=face.face_id, score=round(score, 4))


def note_names(request: web.Request, change: Erasure | Renaming) -> None:
    """Say whose names the trail has to forget, or to change, once the request has succeeded."""
    if AUDIT_NOTES in request:
        request[AUDIT_NOTES].change_of_names = change


async def erase_faces(request: web.Request, gallery: str, face_ids: Sequence[int]) -> None:
    """Have the trail forget the names of some faces at once, before they go. Raises AuditUnavailable."""
    trail = request.app[TRAIL]
    if trail is not None:
        await trail.erase_faces(gallery, face_ids)


def write_down(operation_of: Callable[[web.Request], OperationWord | None]) -> Middleware:
    """A middleware, inside authentication: who was refused there did nothing. Raises AuditUnavailable.

    `operation_of` says what a request needs, None where it needs nothing or there is no such path.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        trail, retention, operation = request.app[TRAIL], request.app[RETENTION], operation_of(request)
        route = routes.path_of(request)
        silent = (trail is None and retention is None) or operation in _LEFT_OUT or route in _ABOUT_NOBODY
        if silent or operation is None:
            return await handler(request)
        request[AUDIT_NOTES] = Notes(_asked_about(request))
        if trail is None:
            response = await handler(request)
        else:
            write = _recognition if operation == "recognise" else _change
            response = await write(request, handler, trail, _event(request, operation, route))
        if retention is not None and operation in {"recognise", "register"}:
            for each in request[AUDIT_NOTES].subjects:
                if each.remark is not None:
                    retention.note(request[GALLERY_NAME], each.remark)
        return response

    return middleware


async def _recognition(request: web.Request, handler: Handler, trail: Trail, event: Event) -> web.StreamResponse:
    """Nobody waits until it is written down."""
    async with _written_down(request, trail, event):
        return await handler(request)


async def _change(request: web.Request, handler: Handler, trail: Trail, event: Event) -> web.StreamResponse:
    """It is written down as begun while it is carried out, and answered once that is on the disk."""
    begun = trail.put(replace(event, subjects=request[AUDIT_NOTES].asked))
    if trail.failing or event.operation in _BEFORE:
        await begun  # nothing is changed where that can't be written down
    async with _written_down(request, trail, event):
        response = await handler(request)
    await begun
    return response


@asynccontextmanager
async def _written_down(request: web.Request, trail: Trail, event: Event) -> AsyncGenerator[None]:
    """A block after which it is written down what became of the request, and names are as it has changed them."""
    outcome, notes = "cut_off", request[AUDIT_NOTES]
    try:
        yield
        outcome = "ok"
    except Exception as error:
        outcome = _slug(error)
        raise
    finally:
        trail.put_soon(_ended(request, event, outcome))
        if notes.change_of_names is not None and (outcome == "ok" or _is_gone(outcome, notes)):
            await trail.change_names(notes.change_of_names)


def _is_gone(outcome: str, notes: Notes) -> bool:
    """Whether somebody was deleted before, perhaps by a service that was killed before his names were erased."""
    gone = {errors.UnknownFace.code, errors.UnknownPerson.code, errors.UnknownGallery.code}
    return isinstance(notes.change_of_names, Erasure) and outcome in gone


def open_trail(settings: Settings) -> Callable[[web.Application], AsyncIterator[None]]:
    """What opens the trail when the application starts, None without FACE_AUDIT, and closes it when it ends."""

    async def opened(app: web.Application) -> AsyncIterator[None]:
        app[TRAIL] = None
        if settings.audit is None:
            yield
            return
        trail = Trail(settings.audit, settings.audit_days, lambda: datetime.now(UTC))
        app[TRAIL] = trail
        expiring = asyncio.create_task(trail.keep_for_its_days())
        try:
            yield
        finally:
            expiring.cancel()
            with suppress(asyncio.CancelledError, AuditUnavailable):
                await expiring
            await trail.close()

    return opened


def _event(request: web.Request, operation: OperationWord, route: str) -> Event:
    return Event(
        at=datetime.now(UTC),
        request_id=request[REQUEST_ID],
        caller=request[CALLER].name,
        client=request.app[REQUEST_LOG].client(request),
        operation=operation,
        route=f"{request.method} {route}",
    )


def _ended(request: web.Request, event: Event, outcome: str) -> Event:
    notes = request[AUDIT_NOTES]
    asked = notes.asked if event.operation in {"delete", "change"} else ()
    return replace(event, gallery=request.get(GALLERY_NAME), outcome=outcome, subjects=tuple(notes.subjects) or asked)


def _asked_about(request: web.Request) -> tuple[Subject, ...]:
    """Whom the request's own address names: known before anything is done."""
    in_path = request.match_info
    face_id = in_path.get("face_id") or request.query.get("face_id", "")
    remark = in_path.get("remark") or request.query.get("remark")
    number = int(face_id) if face_id.isascii() and face_id.isdigit() and len(face_id) <= 16 else None  # noqa: PLR2004 - 2^53
    return (Subject(remark=remark, face_id=number),) if remark or number is not None else ()


def _slug(error: Exception) -> str:
    if isinstance(error, FaceServiceError):
        return error.code
    return "uri_not_found" if isinstance(error, web.HTTPException) else "unforeseen"
