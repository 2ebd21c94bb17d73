"""What the service may ask the gallery's process about people and galleries, as requests.py does about faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from service.stores.edge.requests import Request
from service.stores.people import Sighting
from service.values import GalleryEntry, Person

if TYPE_CHECKING:  # the service makes requests too, and must not load Edge
    from service.stores.edge.shard import Shard


@dataclass(frozen=True, kw_only=True)
class SightingsFrom(Request[list[Sighting]]):
    """See people.PeopleReader."""

    name_order: int
    gallery: str
    part: str | None
    limit: int

    def carry_out(self, shard: Shard) -> list[Sighting]:
        """See Request."""
        return shard.people.sightings_from(self.name_order, gallery=self.gallery, part=self.part, limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class SightingsAt(Request[list[Sighting]]):
    """See people.PeopleReader."""

    name_order: int
    person: int
    gallery: str
    part: str | None
    limit: int

    def carry_out(self, shard: Shard) -> list[Sighting]:
        """See Request."""
        return shard.people.sightings_at(
            self.name_order, person=self.person, gallery=self.gallery, part=self.part, limit=self.limit
        )


@dataclass(frozen=True)
class CountFaces(Request[Mapping[int, int]]):
    """See people.PeopleReader."""

    persons: Sequence[int]
    gallery: str

    def carry_out(self, shard: Shard) -> Mapping[int, int]:
        """See Request."""
        return shard.people.counts(self.persons, gallery=self.gallery)


@dataclass(frozen=True)
class FindPerson(Request[Person | None]):
    """See Store.person."""

    remark: str
    gallery: str

    def carry_out(self, shard: Shard) -> Person | None:
        """See Request."""
        return shard.people.find(self.remark, gallery=self.gallery)


@dataclass(frozen=True)
class RenamePerson(Request[int]):
    """See Store.rename_person."""

    remark: str
    new: str
    gallery: str
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.people.rename(self.remark, self.new, gallery=self.gallery)


@dataclass(frozen=True)
class RemovePerson(Request[int]):
    """See Store.remove_person."""

    remark: str
    gallery: str
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.people.remove(self.remark, gallery=self.gallery)


@dataclass(frozen=True)
class MarkSeen(Request[None]):
    """See Store.mark_seen."""

    people: Sequence[tuple[str, str]]
    at: datetime
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.people.mark_seen(self.people, self.at)


@dataclass(frozen=True)
class RemoveUnseen(Request[int]):
    """See Store.remove_unseen."""

    before: datetime
    now: datetime
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.people.remove_unseen(self.before, self.now)


@dataclass(frozen=True)
class ListGalleries(Request[list[GalleryEntry]]):
    """See Store.galleries."""

    def carry_out(self, shard: Shard) -> list[GalleryEntry]:
        """See Request."""
        return shard.galleries()


@dataclass(frozen=True)
class CreateGallery(Request[bool]):
    """See Store.create_gallery."""

    name: str
    created_at: datetime
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> bool:
        """See Request."""
        return shard.create_gallery(self.name, self.created_at)


@dataclass(frozen=True)
class RemoveGallery(Request[bool]):
    """See Store.remove_gallery."""

    name: str
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> bool:
        """See Request."""
        return shard.remove_gallery(self.name)
