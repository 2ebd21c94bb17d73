"""How lists of faces and of people are read from the gallery's process, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping

from service.stores import listing
from service.stores.edge import people_requests, requests
from service.stores.edge.link import EdgeLink
from service.stores.listing import Key
from service.stores.people import PeopleReader, Sighting
from service.values import StoredFace


def face_reader(link: EdgeLink, gallery: str, remark: str | None) -> listing.FaceReader:
    """Of the faces of a gallery, or of those of one remark."""

    async def keys_from(microseconds: int | None, limit: int) -> list[Key]:
        return await link.call(
            requests.KeysFrom(microseconds=microseconds, gallery=gallery, limit=limit, remark=remark)
        )

    async def keys_at(microseconds: int, first_id: int, limit: int) -> list[Key]:
        return await link.call(
            requests.KeysAt(microseconds=microseconds, gallery=gallery, first_id=first_id, limit=limit, remark=remark)
        )

    async def fetch(face_ids: list[int]) -> Mapping[int, StoredFace]:
        return await link.call(requests.Fetch(face_ids, gallery))

    return listing.FaceReader(keys_from=keys_from, keys_at=keys_at, fetch=fetch)


def people_reader(link: EdgeLink, gallery: str, part: str | None) -> PeopleReader:
    """Of the people of a gallery, or of those whose name has that part."""

    async def sightings_from(name_order: int, limit: int) -> list[Sighting]:
        return await link.call(
            people_requests.SightingsFrom(name_order=name_order, gallery=gallery, part=part, limit=limit)
        )

    async def sightings_at(name_order: int, person: int, limit: int) -> list[Sighting]:
        return await link.call(
            people_requests.SightingsAt(name_order=name_order, person=person, gallery=gallery, part=part, limit=limit)
        )

    async def counts(persons: list[int]) -> Mapping[int, int]:
        return await link.call(people_requests.CountFaces(persons, gallery))

    return PeopleReader(sightings_from=sightings_from, sightings_at=sightings_at, counts=counts)
