"""Which faces a Qdrant server is asked for: those of a gallery, a remark, a moment, a person, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from qdrant_client import models

from service.stores.listing import time_of
from service.stores.payload import DEVICE_ID, EXPIRES_AT, GALLERY, REGISTERED_AT, REMARK, SEEN_AT
from service.stores.people import NAME, NAME_ORDER, PERSON


def only(gallery: str, *, remark: str | None = None, at: int | None = None) -> models.Filter:
    """Those of a gallery; of a remark, and registered `at` a time, in microseconds since 1970, where they are given."""
    conditions: list[models.Condition] = [_equal(GALLERY, gallery)]
    if remark is not None:
        conditions.append(_equal(REMARK, remark))
    if at is not None:
        moment = models.DatetimeRange(gte=time_of(at), lte=time_of(at))
        conditions.append(models.FieldCondition(key=REGISTERED_AT, range=moment))
    return models.Filter(must=conditions)


def of_device(gallery: str, device_id: str | None) -> models.Filter:
    """Those of a gallery that a device registered; None: all of the gallery."""
    device = [] if device_id is None else [_equal(DEVICE_ID, device_id)]
    return models.Filter(must=[_equal(GALLERY, gallery), *device])


def numbered(face_ids: Sequence[int], *, gallery: str | None, until: datetime | None = None) -> models.Filter:
    """The faces of some numbers: those in the gallery (None: in any), and registered until that time."""
    conditions: list[models.Condition] = [models.HasIdCondition(has_id=[*face_ids])]
    if gallery is not None:
        conditions.append(_equal(GALLERY, gallery))
    if until is not None:
        conditions.append(models.FieldCondition(key=REGISTERED_AT, range=models.DatetimeRange(lte=until)))
    return models.Filter(must=conditions)


def named(gallery: str, *, part: str | None, name_order: int | None = None) -> models.Filter:
    """Those of a gallery whose name has a part, which is in one case as names are, and those of one name_order."""
    conditions: list[models.Condition] = [_equal(GALLERY, gallery)]
    if name_order is not None:
        conditions.append(_equal(NAME_ORDER, name_order))
    if part:
        conditions.append(models.FieldCondition(key=NAME, match=models.MatchSubstring(substring=part)))
    return models.Filter(must=conditions)


def of_people(gallery: str, persons: Sequence[int]) -> models.Filter:
    """Those of some people of a gallery."""
    theirs = models.FieldCondition(key=PERSON, match=models.MatchAny(any=[*persons]))
    return models.Filter(must=[_equal(GALLERY, gallery), theirs])


def expired(now: datetime) -> models.Filter:
    """Those whose time is up, in every gallery."""
    return models.Filter(must=[models.FieldCondition(key=EXPIRES_AT, range=models.DatetimeRange(lte=now))])


def unseen(before: datetime) -> models.Filter:
    """Those of people who were seen last before a time, in every gallery."""
    return models.Filter(must=[models.FieldCondition(key=SEEN_AT, range=models.DatetimeRange(lt=before))])


def never_marked() -> models.Filter:
    """The faces of which it isn't known when their people were seen; what has no remark is no face."""
    never = models.IsEmptyCondition(is_empty=models.PayloadField(key=SEEN_AT))
    return models.Filter(must=[never], must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=REMARK))])


def incomplete(face_ids: Sequence[int] | None = None) -> models.Filter:
    """Those that an older version has written, of all or of some."""
    conditions: list[models.Condition] = [models.IsEmptyCondition(is_empty=models.PayloadField(key=PERSON))]
    if face_ids is not None:
        conditions.append(models.HasIdCondition(has_id=[*face_ids]))
    return models.Filter(must=conditions)


def oldest_from(microseconds: int | None) -> models.OrderBy:
    """The oldest first, from a time on, in microseconds since 1970; None: all."""
    start = None if microseconds is None else time_of(microseconds)
    return models.OrderBy(key=REGISTERED_AT, direction=models.Direction.ASC, start_from=start)


def least_from(field: str, number: int) -> models.OrderBy:
    """By a field of whole numbers, which are below 2^53, the least first, from a number on."""
    return models.OrderBy(key=field, direction=models.Direction.ASC, start_from=number)


def _equal(field: str, value: str | int) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))
