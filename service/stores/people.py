"""How people are found in a store that orders by whole numbers only: by the beginning of their remark, then by a hash.

Every face keeps three fields beside its remark: `name`, the remark in one case (NFKC and casefold), in which a part is
searched; `name_order`, the first bits of that as a number, so that people come by their names, about; and `person`, a
number of gallery and remark that tells those apart whose names begin alike. Faces of one person have the same three, so
going through the faces by (name_order, person), and from each pair on to the next, gives each one once.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.values import Person

NAME, NAME_ORDER, PERSON = "name", "name_order", "person"
"""The fields of a payload."""

_NUMBER_BITS = 53
"""Qdrant is told as floating point where to begin in an order of whole numbers, so they must be exact in one."""

_MAX_READ = 2000
"""Faces read at once: some people have very many."""

PersonKey = tuple[int, int]
"""A person's place in the list: (name_order, person)."""


def name_of(remark: str) -> str:
    """The remark as it is searched: without its cases and its compatibility forms."""
    plain = unicodedata.normalize("NFKC", remark.casefold())
    return unicodedata.normalize("NFKC", plain.casefold())  # some forms, such as those of № and 𝐀, become capitals


def person_key(remark: str, *, gallery: str) -> PersonKey:
    """The place of a remark's person; two people of 30 million in a gallery share one with a probability of 1 in 20."""
    digest = hashlib.sha256(f"{gallery}\n{remark}".encode()).digest()
    return _first_bits(name_of(remark).encode()), _first_bits(digest)


def person_fields(remark: str, *, gallery: str) -> dict[str, object]:
    """The three fields of a face's payload."""
    order, person = person_key(remark, gallery=gallery)
    return {NAME: name_of(remark), NAME_ORDER: order, PERSON: person}


class Sighting(NamedTuple):
    """A face of a person, as it is come by."""

    key: PersonKey
    face_id: int
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleReader:
    """What the engine is asked for, of all people of a gallery or of those whose names have a part.

    `sightings_from(name_order, limit)` gives the `limit` faces that come first from that name_order on, in its order,
    equal ones in any order; `sightings_at(name_order, person, limit)` those of exactly that name_order, from `person`
    on, in the order of that, equal ones in any order; `counts(persons)` how many faces the people of these numbers
    have, by `person`; those that are gone may be missing.
    """

    sightings_from: Callable[[int, int], Awaitable[list[Sighting]]]
    sightings_at: Callable[[int, int, int], Awaitable[list[Sighting]]]
    counts: Callable[[list[int]], Awaitable[Mapping[int, int]]]


async def page(reader: PeopleReader, limit: int, after: PersonKey | None) -> tuple[list[Person], PersonKey | None]:
    """See Store.people; people that come or go meanwhile may or may not be seen, all others exactly once."""
    found = await _find(reader, limit + 1, after)  # one more tells whether it goes on
    shown = found[:limit]
    counts = await reader.counts([each.key[1] for each in shown]) if shown else {}
    people = [
        Person(remark=each.remark, faces=counts[each.key[1]], face_id=each.face_id)
        for each in shown
        if counts.get(each.key[1])  # else it was removed at once
    ]
    return people, shown[-1].key if shown and len(found) > limit else None


class PeopleCount:
    """Counts people by the least of their numbers, however many faces and people there are.

    The numbers are hashes, spread evenly over all that there could be. So where the 5,000th is tells how many there
    are, within 3 % nearly always; fewer are counted exactly.
    """

    READ_AT_ONCE = 1000
    """Faces."""

    _ENOUGH = 5000
    _MAX_READS = 20  # where people have thousands of faces each, fewer people are seen

    def __init__(self) -> None:
        self._found = 0
        self._last = -1
        self._reads = 0
        self._ended = False

    def next_from(self) -> int | None:
        """From which number on the next faces are to be read, by rising `person`; None once there are enough."""
        enough = self._ended or self._found >= self._ENOUGH or self._reads == self._MAX_READS
        return None if enough else self._last + 1

    def add(self, persons: Sequence[int]) -> None:
        """The numbers of the faces that were read, READ_AT_ONCE unless there are no more."""
        self._reads += 1
        self._found += len(set(persons))
        self._last = max(persons, default=self._last)
        self._ended = len(persons) < self.READ_AT_ONCE

    @property
    def is_estimated(self) -> bool:
        """Whether there are more than were counted."""
        return not self._ended

    @property
    def people(self) -> int:
        """How many there are, about where it is estimated."""
        if self._ended:
            return self._found
        return max(self._found, ((self._found - 1) << _NUMBER_BITS) // (self._last + 1))


async def _find(reader: PeopleReader, wanted: int, after: PersonKey | None) -> list[Sighting]:
    """A face of each of the next people behind a key, `wanted` at most; fewer only where there are no more.

    An engine that orders by one number only cuts a run of equal ones wherever the limit falls; so the run at the cut is
    read apart, by `person`.
    """
    found: dict[PersonKey, Sighting] = {}
    order, person = (after[0], after[1] + 1) if after else (0, None)
    read = wanted
    while len(found) < wanted:
        before = len(found)
        if person is None:
            sightings = sorted(await reader.sightings_from(order, read))
            ended = len(sightings) < read
            if not ended:
                order, person = sightings[-1].key[0], 0
                sightings = [each for each in sightings if each.key[0] != order]
            _keep_first(found, sightings)
            if ended:
                break
        else:
            sightings = sorted(await reader.sightings_at(order, person, read))
            _keep_first(found, sightings)
            order, person = (order, sightings[-1].key[1] + 1) if len(sightings) == read else (order + 1, None)
        if (len(found) - before) * 2 < len(sightings):  # many faces of few people
            read = min(2 * read, _MAX_READ)
    return list(found.values())[:wanted]


def _keep_first(found: dict[PersonKey, Sighting], sightings: list[Sighting]) -> None:
    for each in sightings:
        found.setdefault(each.key, each)


def _first_bits(text: bytes) -> int:
    size = -(-_NUMBER_BITS // 8)
    return int.from_bytes(text[:size].ljust(size, b"\0")) >> (8 * size - _NUMBER_BITS)
