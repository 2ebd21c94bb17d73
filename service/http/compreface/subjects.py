"""Subjects, as CompreFace calls people: added, listed, renamed and deleted."""

from __future__ import annotations

from typing import Any, NamedTuple

from aiohttp import web

from service.errors import RemarkInUse, UnknownPerson
from service.gallery.gallery import Gallery
from service.http import routes
from service.http.callers import gallery_of
from service.http.compreface.bodies import Subject, read_body
from service.http.compreface.operations import Operation
from service.http.compreface.queries import usable_subject
from service.http.forms import FormLimits
from service.http.rest_api.paths import read_remark

_PAGE = 1000
"""People that are read in one go."""


class Removed(NamedTuple):
    """How many people and faces were forgotten."""

    people: int
    faces: int


async def add(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """Say that a name is free: a person comes into being with the first face, so nothing is kept of one without."""
    gallery = await gallery_of(request)
    subject = usable_subject(request, (await read_body(request, limits, Subject)).subject)
    try:
        await gallery.people.person(subject)
    except UnknownPerson:
        return {"subject": subject}
    raise RemarkInUse("There is a subject of this name already; choose another one, or add examples to it.")


async def list_subjects(request: web.Request, _: FormLimits) -> dict[str, Any]:
    """Everybody by name."""
    gallery = await gallery_of(request)
    subjects: list[str] = []
    people, after = await gallery.people.page(_PAGE, after=None, part=None)
    subjects += [each.remark for each in people]
    while after is not None:
        people, after = await gallery.people.page(_PAGE, after=after, part=None)
        subjects += [each.remark for each in people]
    return {"subjects": subjects}


async def rename(request: web.Request, limits: FormLimits) -> dict[str, Any]:
    """Give a subject another name; if another one has that, the two become one, as CompreFace has it."""
    gallery, subject = await gallery_of(request), read_remark(request)
    new = usable_subject(request, (await read_body(request, limits, Subject)).subject)
    await gallery.people.rename(subject, new, merge=True)
    return {"updated": new != subject}


async def remove(request: web.Request, _: FormLimits) -> dict[str, Any]:
    """Forget a subject with all examples."""
    gallery, subject = await gallery_of(request), read_remark(request)
    await gallery.people.remove(subject)
    return {"subject": subject}


async def remove_all(request: web.Request, _: FormLimits) -> dict[str, Any]:
    """Forget every subject with all examples."""
    return {"deleted": (await remove_everybody(await gallery_of(request))).people}


async def remove_everybody(gallery: Gallery) -> Removed:
    """Forget all people of a gallery that are there when it begins, and the faces of each."""
    people = faces = 0
    page, after = await gallery.people.page(_PAGE, after=None, part=None)
    while page:
        for each in page:
            try:
                faces += await gallery.people.remove(each.remark)
                people += 1
            except UnknownPerson:  # somebody else was faster
                continue
        if after is None:
            break
        page, after = await gallery.people.page(_PAGE, after=after, part=None)
    return Removed(people=people, faces=faces)


SUBJECT_OPERATIONS = (
    Operation(needs="register", method="POST", path=routes.COMPREFACE_SUBJECTS, handle=add, status=201),
    Operation(needs="list", method="GET", path=routes.COMPREFACE_SUBJECTS, handle=list_subjects),
    Operation(needs="change", method="PUT", path=routes.COMPREFACE_SUBJECT, handle=rename),
    Operation(needs="delete", method="DELETE", path=routes.COMPREFACE_SUBJECT, handle=remove),
    Operation(needs="delete", method="DELETE", path=routes.COMPREFACE_SUBJECTS, handle=remove_all),
)
