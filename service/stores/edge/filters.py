"""Which faces Qdrant Edge is asked for: those of one remark, those of one moment, and in order of time."""

from __future__ import annotations

import qdrant_edge as qdrant

from service.stores.listing import time_of
from service.stores.payload import REGISTERED_AT, REMARK, to_text


def only(remark: str | None = None, *, at: int | None = None) -> qdrant.Filter | None:
    """Those of a remark and those registered `at` a time, in microseconds since 1970; None where all are wanted."""
    conditions = []
    if remark is not None:
        conditions.append(qdrant.FieldCondition(REMARK, match=qdrant.MatchValue(remark)))
    if at is not None:
        moment = qdrant.RangeDateTime(gte=_iso(at), lte=_iso(at))
        conditions.append(qdrant.FieldCondition(REGISTERED_AT, range=moment))
    return qdrant.Filter(must=[*conditions]) if conditions else None


def oldest_from(microseconds: int | None) -> qdrant.OrderBy:
    """The oldest first, from a time on, in microseconds since 1970; None: all."""
    start = None if microseconds is None else _iso(microseconds)
    return qdrant.OrderBy(REGISTERED_AT, qdrant.Direction.Asc, start)


def _iso(microseconds: int) -> str:
    return to_text(time_of(microseconds))
