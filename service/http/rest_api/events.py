"""The audit trail: what was asked for, by whom, and whom it was about."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from service import errors
from service.audit.events import Event, Selection
from service.http import routes
from service.http.callers import gallery_of
from service.http.forms import FormLimits
from service.http.keys import CALLER, TRAIL
from service.http.rest_api import examples
from service.http.rest_api.answers import Answer
from service.http.rest_api.operations import Operation
from service.http.rest_api.queries import EventsQuery


class EventSubject(Answer):
    """A person or a face that a request was about."""

    remark: str | None = Field(description="Null where the request named a number only, or after an erasure.")
    face_id: int | None
    score: float | None = Field(description="Of a recognition: that of the best face.")
    erased: bool = Field(description="The person or the face was deleted since.")


class KeptEvent(Answer):
    """What a caller asked for, and what became of it."""

    id: int = Field(ge=1, description="Rises from event to event.")
    at: datetime
    request_id: str = Field(description="As in the log.")
    caller: str = Field(description="A device's id, `key:` and a key's name, or `anybody`.")
    client: str = Field(description="The client's address.")
    operation: str
    route: str = Field(description="Method and path, as they are documented.")
    gallery: str | None = Field(description="Null for a request about all of them.")
    outcome: str | None = Field(description="`ok`, or why not; null where nobody knows: the service was killed.")
    subjects: list[EventSubject] = Field(
        description="Whom it was about: of a recognition, those who were recognised; nobody where the list is empty."
    )


class EventsPage(Answer):
    """Events, the oldest first."""

    recording: bool = Field(description="Whether there is an audit trail (`FACE_AUDIT`).")
    events: list[KeptEvent]
    next_cursor: str | None = Field(description="Where the next page begins; null at the end.")


async def list_events(request: web.Request, query: EventsQuery, _: FormLimits) -> EventsPage:
    """A page of the trail."""
    galleries: list[str] | None = None
    if query.gallery is not None or request[CALLER].galleries is not None:
        galleries = [(await gallery_of(request, query.gallery)).name]
    trail = request.app[TRAIL]
    if trail is None:
        return EventsPage(recording=False, events=[], next_cursor=None)
    wanted = Selection(
        after=int(query.cursor or 0),
        limit=query.limit + 1,
        galleries=galleries,
        remark=query.remark,
        caller=query.caller,
    )
    found = await trail.page(wanted)
    shown = found[: query.limit]
    return EventsPage(
        recording=True,
        events=[_told(each) for each in shown],
        next_cursor=str(shown[-1].number) if len(found) > len(shown) else None,
    )


def _told(event: Event) -> KeptEvent:
    return KeptEvent(
        id=event.number,
        at=event.at,
        request_id=event.request_id,
        caller=event.caller,
        client=event.client,
        operation=event.operation,
        route=event.route,
        gallery=event.gallery,
        outcome=event.outcome,
        subjects=[
            EventSubject(remark=each.remark, face_id=each.face_id, score=each.score, erased=each.erased)
            for each in event.subjects
        ],
    )


EVENT_OPERATIONS = (
    Operation(
        name="listEvents",
        needs="events",
        tag="service",
        method="GET",
        path=routes.EVENTS,
        summary="List who was recognised or changed what, by whom, the oldest first, page by page.",
        description="With `FACE_AUDIT`. `cursor` may be the `id` of any event: those behind it come. Lists aren't "
        "written down, nor are photos and pictures. The names of who was deleted are erased.",
        query=EventsQuery,
        handle=list_events,
        answer=EventsPage,
        raises=(errors.UnknownGallery,),
        example=examples.EVENTS,
    ),
)
