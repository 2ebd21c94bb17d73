"""Which faces a Qdrant server is asked for: those of one remark, those of one moment, and in order of time."""

from __future__ import annotations

from qdrant_client import models

from service.stores.listing import time_of
from service.stores.payload import REGISTERED_AT, REMARK


def only(remark: str | None = None, *, at: int | None = None) -> models.Filter | None:
    """Those of a remark and those registered `at` a time, in microseconds since 1970; None where all are wanted."""
    conditions: list[models.Condition] = []
    if remark is not None:
        conditions.append(models.FieldCondition(key=REMARK, match=models.MatchValue(value=remark)))
    if at is not None:
        moment = models.DatetimeRange(gte=time_of(at), lte=time_of(at))
        conditions.append(models.FieldCondition(key=REGISTERED_AT, range=moment))
    return models.Filter(must=conditions) if conditions else None


def oldest_from(microseconds: int | None) -> models.OrderBy:
    """The oldest first, from a time on, in microseconds since 1970; None: all."""
    start = None if microseconds is None else time_of(microseconds)
    return models.OrderBy(key=REGISTERED_AT, direction=models.Direction.ASC, start_from=start)
