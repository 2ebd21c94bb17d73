"""Which faces Qdrant Edge is asked for: those of a gallery, a remark, a moment, a person, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import qdrant_edge as qdrant

from service.stores.listing import time_of
from service.stores.payload import DEVICE_ID, EXPIRES_AT, GALLERY, REGISTERED_AT, REMARK, SEEN_AT, to_text
from service.stores.people import NAME, NAME_ORDER, PERSON


def only(gallery: str, *, remark: str | None = None, at: int | None = None) -> qdrant.Filter:
    """Those of a gallery; of a remark, and registered `at` a time, in microseconds since 1970, where they are given."""
    conditions = [_equal(GALLERY, gallery)]
    if remark is not None:
        conditions.append(_equal(REMARK, remark))
    if at is not None:
        moment = qdrant.RangeDateTime(gte=_iso(at), lte=_iso(at))
        conditions.append(qdrant.FieldCondition(REGISTERED_AT, range=moment))
    return qdrant.Filter(must=[*conditions])


def of_device(gallery: str, device_id: str | None) -> qdrant.Filter:
    """Those of a gallery that a device registered; None: all of the gallery."""
    conditions = [_equal(GALLERY, gallery)]
    if device_id is not None:
        conditions.append(_equal(DEVICE_ID, device_id))
    return qdrant.Filter(must=[*conditions])


def numbered(face_ids: Sequence[int], gallery: str) -> qdrant.Filter:
    """Those of some numbers that are in a gallery."""
    return qdrant.Filter(must=[qdrant.HasIdCondition({*face_ids}), _equal(GALLERY, gallery)])


def named(gallery: str, *, part: str | None, name_order: int | None = None) -> qdrant.Filter:
    """Those of a gallery whose name has a part, which is in one case as names are, and those of one name_order."""
    conditions = [_equal(GALLERY, gallery)]
    if name_order is not None:
        conditions.append(_equal(NAME_ORDER, name_order))
    if part:
        conditions.append(qdrant.FieldCondition(NAME, match=qdrant.MatchSubstring(part)))
    return qdrant.Filter(must=[*conditions])


def of_people(gallery: str, persons: Sequence[int]) -> qdrant.Filter:
    """Those of some people of a gallery."""
    return qdrant.Filter(
        must=[_equal(GALLERY, gallery), qdrant.FieldCondition(PERSON, match=qdrant.MatchAny([*persons]))]
    )


def expired(now: datetime) -> qdrant.Filter:
    """Those whose time is up, in every gallery."""
    return qdrant.Filter(must=[qdrant.FieldCondition(EXPIRES_AT, range=qdrant.RangeDateTime(lte=to_text(now)))])


def unseen(before: datetime) -> qdrant.Filter:
    """Those of people who were seen last before a time, in every gallery."""
    return qdrant.Filter(must=[qdrant.FieldCondition(SEEN_AT, range=qdrant.RangeDateTime(lt=to_text(before)))])


def never_marked() -> qdrant.Filter:
    """Those of which it isn't known when their people were seen."""
    return qdrant.Filter(must=[qdrant.IsEmptyCondition(SEEN_AT)])


def oldest_from(microseconds: int | None) -> qdrant.OrderBy:
    """The oldest first, from a time on, in microseconds since 1970; None: all."""
    start = None if microseconds is None else _iso(microseconds)
    return qdrant.OrderBy(REGISTERED_AT, qdrant.Direction.Asc, start)


def least_from(field: str, number: int) -> qdrant.OrderBy:
    """By a field of whole numbers, which are below 2^53, the least first, from a number on."""
    return qdrant.OrderBy(field, qdrant.Direction.Asc, number)


def _equal(field: str, value: str | int) -> qdrant.FieldCondition:
    return qdrant.FieldCondition(field, match=qdrant.MatchValue(value))


def _iso(microseconds: int) -> str:
    return to_text(time_of(microseconds))
