"""People: all faces of a remark are one person, who can be listed, shown, renamed and deleted."""

from __future__ import annotations

from aiohttp import web

from service import errors
from service.audit.events import Erasure, Renaming
from service.http import routes
from service.http.audit import note_names
from service.http.callers import gallery_of
from service.http.forms import FormLimits
from service.http.rest_api import examples
from service.http.rest_api.bodies import read_body
from service.http.rest_api.gallery_answers import ListedPerson, PeoplePage, Person, Removal
from service.http.rest_api.json_bodies import RenameBody
from service.http.rest_api.operations import Operation
from service.http.rest_api.paths import read_remark
from service.http.rest_api.queries import GalleryQuery, PeopleQuery, cursor_of, key_of_cursor
from service.values import Person as KnownPerson

PERSON_ERRORS = (errors.UnknownPerson, errors.UnknownGallery)
"""What every operation may say that is about one person."""


async def list_people(request: web.Request, query: PeopleQuery, _: FormLimits) -> PeoplePage:
    """A page of the list."""
    gallery = await gallery_of(request, query.gallery)
    people, last = await gallery.people.page(query.limit, after=key_of_cursor(query.cursor), part=query.part)
    return PeoplePage(
        gallery=gallery.name,
        people=[ListedPerson(remark=each.remark, faces=each.faces, face_id=each.face_id) for each in people],
        next_cursor=None if last is None else cursor_of(last),
    )


async def show(request: web.Request, query: GalleryQuery, _: FormLimits) -> Person:
    """One person."""
    gallery = await gallery_of(request, query.gallery)
    return _told(await gallery.people.person(read_remark(request)), gallery.name)


async def rename(request: web.Request, query: GalleryQuery, limits: FormLimits) -> Person:
    """Give one person another remark."""
    gallery, remark = await gallery_of(request, query.gallery), read_remark(request)
    body = await read_body(request, limits, RenameBody)
    person = await gallery.people.rename(remark, body.remark, merge=body.merge)
    note_names(request, Renaming(gallery=gallery.name, remark=remark, new=body.remark))
    return _told(person, gallery.name)


async def remove(request: web.Request, query: GalleryQuery, _: FormLimits) -> Removal:
    """Forget one person."""
    gallery, remark = await gallery_of(request, query.gallery), read_remark(request)
    note_names(request, Erasure(gallery=gallery.name, remark=remark))
    return Removal(removed=await gallery.people.remove(remark))


def _told(person: KnownPerson, gallery: str) -> Person:
    return Person(remark=person.remark, faces=person.faces, face_id=person.face_id, gallery=gallery)


PEOPLE_OPERATIONS = (
    Operation(
        name="listPeople",
        needs="list",
        tag="people",
        method="GET",
        path=routes.PEOPLE,
        summary="List the people by their names, about, page by page.",
        description="All faces of a remark are one person.",
        query=PeopleQuery,
        handle=list_people,
        answer=PeoplePage,
        raises=(errors.UnknownGallery,),
        example=examples.PEOPLE,
    ),
    Operation(
        name="showPerson",
        needs="list",
        tag="people",
        method="GET",
        path=routes.PERSON,
        summary="Show a person.",
        query=GalleryQuery,
        handle=show,
        answer=Person,
        raises=PERSON_ERRORS,
        example=examples.PERSON,
    ),
    Operation(
        name="renamePerson",
        needs="change",
        tag="people",
        method="PATCH",
        path=routes.PERSON,
        summary="Give all faces of a person another remark.",
        description="With `merge` that may be the remark of another person; the two are one from then on.",
        query=GalleryQuery,
        handle=rename,
        takes=RenameBody,
        answer=Person,
        raises=(*PERSON_ERRORS, errors.RemarkInUse, errors.UnsupportedBody),
        example=examples.PERSON,
    ),
    Operation(
        name="deletePerson",
        needs="delete",
        tag="people",
        method="DELETE",
        path=routes.PERSON,
        summary="Delete all faces of a person.",
        description="After the answer they are never returned again, not even after a crash.",
        query=GalleryQuery,
        handle=remove,
        answer=Removal,
        raises=PERSON_ERRORS,
        example=examples.REMOVAL,
    ),
)
