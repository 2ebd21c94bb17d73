"""Reads the faces of a collection on a Qdrant server: the nearest ones, those of a list, and those of some numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from qdrant_client import models

from service.stores import listing
from service.stores.gathering import Gathering
from service.stores.listing import Key, Stamp
from service.stores.payload import GALLERY, STAMPED, to_face, to_stamp
from service.stores.people import PERSON, PeopleCount
from service.stores.qdrant import collection, filters, messages
from service.stores.qdrant.link import BULK_LIMIT_S
from service.stores.qdrant.messages import Record
from service.stores.qdrant.requests import MOST, Requests
from service.stores.store import Figures
from service.values import DEFAULT_GALLERY, Embedding, Nearest, StoredFace


async def search(
    requests: Requests, embedding: Embedding, limit: int, *, gallery: str, people: int | None, remark: str | None
) -> Nearest:
    """See Store.search; exact within a remark."""
    if limit < 1:
        return Nearest([], {}, 0)
    which = filters.only(gallery, remark=remark)
    params = collection.SEARCH if remark is None else collection.EXACT_SEARCH
    hits = await requests.link.call(
        lambda client: messages.nearest(client, requests.real, embedding, limit, which=which, params=params)
    )
    gathering = Gathering(hits, people)
    while ids := gathering.wanted():
        # Not `fetch`: a face that is gone by now is none to look for on other copies.
        gathering.add(_faces(gallery, await requests.read(ids, with_payload=True)))
    return gathering.nearest()


def scan(
    requests: Requests, offset: int, limit: int | None, *, gallery: str, after: Key | None, remark: str | None
) -> AsyncIterator[StoredFace]:
    """See Store.scan."""

    async def keys_from(microseconds: int | None, limit: int) -> list[Key]:
        which, order = filters.only(gallery, remark=remark), filters.oldest_from(microseconds)
        records = await requests.scroll(scroll_filter=which, limit=limit, order_by=order)
        return [(each.order_value, each.id) for each in records]

    async def keys_at(microseconds: int, first_id: int, limit: int) -> list[Key]:
        ties = filters.only(gallery, remark=remark, at=microseconds)
        records = await requests.scroll(scroll_filter=ties, offset=first_id, limit=limit)
        return [(microseconds, each.id) for each in records]

    reader = listing.FaceReader(keys_from=keys_from, keys_at=keys_at, fetch=partial(fetch, requests, gallery=gallery))
    return listing.scan(reader, offset, limit, after)


async def scan_embedded(requests: Requests, after: int) -> AsyncIterator[tuple[StoredFace, Embedding]]:
    """See Store.scan_embedded."""
    while records := await _page_embedded(requests, after):
        for face_id, payload, vector in records:
            assert vector is not None  # noqa: S101 - it was asked for
            yield to_face(face_id, payload), vector
        after = records[-1].id


async def _page_embedded(requests: Requests, after: int) -> list[Record]:
    return await requests.link.call(
        lambda client: messages.page(client, requests.real, first_id=after + 1, limit=listing.FACES_AT_ONCE),
        BULK_LIMIT_S,
    )


async def scan_keys(requests: Requests, after: int) -> AsyncIterator[Stamp]:
    """See Store.scan_keys."""
    while records := await requests.scroll(
        BULK_LIMIT_S,
        offset=after + 1,
        limit=listing.KEYS_AT_ONCE,
        with_payload=[*STAMPED],
        consistency=MOST,  # a face that is missing in a comparison would be lost
    ):
        for record in records:
            yield to_stamp(record.id, record.payload)
        after = records[-1].id


async def ids(requests: Requests, which: models.Filter, *, after: int, limit: int) -> list[int]:
    """The next numbers of some faces; what most copies have."""
    records = await requests.scroll(BULK_LIMIT_S, scroll_filter=which, offset=after + 1, limit=limit, consistency=MOST)
    return [each.id for each in records]


async def fetch(requests: Requests, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, StoredFace]:
    """See Store.fetch."""
    return _faces(gallery, await requests.read_surely(face_ids, with_payload=True))


async def embeddings(requests: Requests, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, Embedding]:
    """See Store.embeddings."""
    records = await requests.read_surely(face_ids, with_payload=[GALLERY], with_vectors=True)
    return {each.id: each.vector for each in _those_in(gallery, records) if each.vector is not None}


async def is_there(requests: Requests, face_id: int, *, gallery: str | None) -> bool:
    """Whether a gallery (None: any) has the face of a number."""
    return bool(_those_in(gallery, await requests.read_surely([face_id], with_payload=[GALLERY])))


async def figures(requests: Requests) -> Figures:
    """See Store.figures."""
    people = PeopleCount()
    while (person := people.next_from()) is not None:
        records = await requests.scroll(
            limit=people.READ_AT_ONCE, order_by=filters.least_from(PERSON, person), with_payload=[PERSON]
        )
        people.add([each.payload[PERSON] for each in records])
    about = await requests.link.call(lambda client: client.get_collection(requests.real))
    indexed = about.indexed_vectors_count or 0
    return Figures(
        faces=await requests.count_all(),
        remarks=people.people,
        indexed=indexed,
        are_remarks_estimated=people.is_estimated,
    )


def _faces(gallery: str | None, records: list[Record]) -> Mapping[int, StoredFace]:
    return {each.id: to_face(each.id, each.payload) for each in _those_in(gallery, records)}


def _those_in(gallery: str | None, records: list[Record]) -> list[Record]:
    """The records of a gallery's faces, or of all where it is None."""
    return [each for each in records if gallery is None or each.payload.get(GALLERY, DEFAULT_GALLERY) == gallery]
