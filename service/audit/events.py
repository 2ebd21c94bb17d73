"""The values of the audit trail: what happened, by whom, and to whom."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom an event is about: a person by his remark, a face by its number, or both; with the score of a match.

    The remark of somebody who was deleted since is None, and `erased` says so.
    """

    remark: str | None = None
    face_id: int | None = None
    score: float | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a caller asked for and what became of it. It holds neither photo nor picture nor embedding.

    `at` is aware. `caller` is a device's id, `key:` and a key's name, or `anybody`; `operation` and `route` are words
    of the API's own. `gallery` is None for requests about all of them. `outcome` is `ok` or the slug of a failure; None
    where the request wasn't finished, or the service was killed meanwhile.
    """

    at: datetime
    request_id: str
    caller: str
    client: str
    operation: str
    route: str
    gallery: str | None = None
    outcome: str | None = None
    subjects: tuple[Subject, ...] = ()
    number: int = 0
    """Its place in the trail, which the trail gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Whose names leave the trail: those of a gallery, or of one person or face of it."""

    gallery: str
    remark: str | None = None
    face_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """A person, or one face, that has another remark now."""

    gallery: str
    new: str
    remark: str | None = None
    face_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events are wanted: those behind a number, in some galleries (None: all), of a remark, a caller."""

    after: int = 0
    limit: int = 100
    galleries: Collection[str] | None = None
    remark: str | None = None
    caller: str | None = None
