"""The people of a collection on a Qdrant server: gone through by their names, counted, renamed, removed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from qdrant_client import models

from service.stores.payload import REMARK, to_renaming
from service.stores.people import NAME_ORDER, PERSON, PeopleReader, PersonKey, Sighting, name_of, page, person_key
from service.stores.qdrant import filters
from service.stores.qdrant.link import BULK_LIMIT_S
from service.stores.qdrant.requests import MOST, Requests
from service.values import Person

FINDS_PARTS = (1, 20)
"""The first version of Qdrant that finds a part of a name by itself."""

_PEOPLE_AT_ONCE = 500
"""People read at once where Qdrant can't look for a part of their names."""


async def people(
    requests: Requests, limit: int, *, gallery: str, after: PersonKey | None, part: str | None, finds_parts: bool
) -> tuple[list[Person], PersonKey | None]:
    """See Store.people; `finds_parts` tells whether the server finds a part of a name by itself."""
    wanted = None if part is None else name_of(part)
    if wanted and not finds_parts:
        return await _with_part(requests, limit, gallery=gallery, after=after, part=wanted)
    return await page(_reader(requests, gallery, wanted), limit, after)


async def find(requests: Requests, remark: str, *, gallery: str) -> Person | None:
    """See Store.person."""
    which = filters.only(gallery, remark=remark)
    records = await requests.scroll(scroll_filter=which, limit=1)
    if not records:
        records = await requests.scroll(scroll_filter=which, limit=1, consistency=MOST)
    faces = await requests.count_surely(which) if records else 0
    return Person(remark=remark, faces=faces, face_id=records[0].id) if faces else None


async def rename(requests: Requests, remark: str, new: str, *, gallery: str) -> int:
    """See Store.rename_person."""
    which, payload = filters.only(gallery, remark=remark), to_renaming(new, gallery=gallery)
    found = await requests.count_surely(which)
    if found and new != remark:
        await requests.set_payload(which, payload, BULK_LIMIT_S)
    return found


async def remove(requests: Requests, remark: str, *, gallery: str) -> int:
    """See Store.remove_person; what no copy shows is removed all the same."""
    which = filters.only(gallery, remark=remark)
    found = await requests.count_surely(which)
    await requests.delete(which, BULK_LIMIT_S)
    return found


def _reader(requests: Requests, gallery: str, part: str | None) -> PeopleReader:
    async def sightings_from(name_order: int, limit: int) -> list[Sighting]:
        which = filters.named(gallery, part=part)
        return await _sightings(requests, which, filters.least_from(NAME_ORDER, name_order), limit)

    async def sightings_at(name_order: int, person: int, limit: int) -> list[Sighting]:
        ties = filters.named(gallery, part=part, name_order=name_order)
        return await _sightings(requests, ties, filters.least_from(PERSON, person), limit)

    return PeopleReader(
        sightings_from=sightings_from, sightings_at=sightings_at, counts=partial(_counts, requests, gallery)
    )


async def _counts(requests: Requests, gallery: str, persons: list[int]) -> Mapping[int, int]:
    which = filters.of_people(gallery, persons)
    hits = await requests.facet(PERSON, which, limit=len(persons), limit_s=None)
    return {hit.value: hit.count for hit in hits}


async def _sightings(requests: Requests, which: models.Filter, order: models.OrderBy, limit: int) -> list[Sighting]:
    fields = [REMARK, NAME_ORDER, PERSON]
    records = await requests.scroll(scroll_filter=which, limit=limit, order_by=order, with_payload=fields)
    return [
        Sighting((each.payload[NAME_ORDER], each.payload[PERSON]), each.id, each.payload[REMARK]) for each in records
    ]


async def _with_part(
    requests: Requests, limit: int, *, gallery: str, after: PersonKey | None, part: str
) -> tuple[list[Person], PersonKey | None]:
    """The people whose names have a part, picked out of all."""
    reader = _reader(requests, gallery, None)
    found: list[Person] = []
    while True:
        read, after = await page(reader, _PEOPLE_AT_ONCE, after)
        found += [each for each in read if part in name_of(each.remark)]
        if len(found) > limit:
            return found[:limit], person_key(found[limit - 1].remark, gallery=gallery)
        if after is None:
            return found, None
