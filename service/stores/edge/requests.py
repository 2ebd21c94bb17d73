"""What the service may ask the gallery's process about faces: each request is a value that carries itself out there.

One definition tells both ends, and the type checker, what a request is called, what it takes and what it answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from service.stores.listing import Key, Stamp
from service.stores.store import Added, Figures
from service.values import Embedding, FaceChanges, ModelContract, Nearest, StoredFace

if TYPE_CHECKING:  # the service makes requests too, and must not load Edge
    from service.stores.edge.shard import Shard

Answer_co = TypeVar("Answer_co", covariant=True)


class Request(ABC, Generic[Answer_co]):
    """One call of the shard; it travels to the process as a pickle."""

    writes: ClassVar[bool] = False
    """Whether its answer waits until its effect is on disk."""

    @abstractmethod
    def carry_out(self, shard: Shard) -> Answer_co:
        """Make the call; raises what that raises."""


@dataclass(frozen=True)
class Bind(Request[int]):
    """See Store.bind; the bits of the gallery's numbers of faces."""

    contract: ModelContract
    face_id_bits: int
    key_check: str | None = None

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.bind(self.contract, face_id_bits=self.face_id_bits, key_check=self.key_check)


@dataclass(frozen=True)
class AddMany(Request[list[Added]]):
    """See Store.add_many."""

    faces: Sequence[tuple[StoredFace, Embedding]]
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> list[Added]:
        """See Request."""
        return shard.faces.add_many(self.faces)


@dataclass(frozen=True, kw_only=True)
class Search(Request[Nearest]):
    """See Store.search."""

    embedding: Embedding
    gallery: str
    limit: int
    people: int | None
    remark: str | None = None

    def carry_out(self, shard: Shard) -> Nearest:
        """See Request."""
        return shard.faces.search(
            self.embedding, gallery=self.gallery, limit=self.limit, people=self.people, remark=self.remark
        )


@dataclass(frozen=True, kw_only=True)
class KeysFrom(Request[list[Key]]):
    """See listing.FaceReader."""

    microseconds: int | None
    gallery: str
    limit: int
    remark: str | None = None

    def carry_out(self, shard: Shard) -> list[Key]:
        """See Request."""
        return shard.faces.keys_from(self.microseconds, gallery=self.gallery, limit=self.limit, remark=self.remark)


@dataclass(frozen=True, kw_only=True)
class KeysAt(Request[list[Key]]):
    """See listing.FaceReader."""

    microseconds: int
    gallery: str
    first_id: int
    limit: int
    remark: str | None = None

    def carry_out(self, shard: Shard) -> list[Key]:
        """See Request."""
        return shard.faces.keys_at(
            self.microseconds, gallery=self.gallery, first_id=self.first_id, limit=self.limit, remark=self.remark
        )


@dataclass(frozen=True)
class Fetch(Request[dict[int, StoredFace]]):
    """See Store.fetch."""

    face_ids: Sequence[int]
    gallery: str | None

    def carry_out(self, shard: Shard) -> dict[int, StoredFace]:
        """See Request."""
        return shard.faces.fetch(self.face_ids, gallery=self.gallery)


@dataclass(frozen=True)
class FetchEmbeddings(Request[dict[int, Embedding]]):
    """See Store.embeddings."""

    face_ids: Sequence[int]
    gallery: str | None

    def carry_out(self, shard: Shard) -> dict[int, Embedding]:
        """See Request."""
        return shard.faces.embeddings(self.face_ids, gallery=self.gallery)


@dataclass(frozen=True, kw_only=True)
class PageEmbedded(Request[list[tuple[StoredFace, Embedding]]]):
    """The next `limit` faces past a face_id, by face_id, with their embeddings."""

    after: int
    limit: int

    def carry_out(self, shard: Shard) -> list[tuple[StoredFace, Embedding]]:
        """See Request."""
        return shard.faces.page_embedded(after=self.after, limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class PageKeys(Request[list[Stamp]]):
    """The stamps of the next `limit` faces past a face_id, by face_id."""

    after: int
    limit: int

    def carry_out(self, shard: Shard) -> list[Stamp]:
        """See Request."""
        return shard.faces.page_keys(after=self.after, limit=self.limit)


@dataclass(frozen=True)
class Change(Request[bool]):
    """See Store.change."""

    face_id: int
    changes: FaceChanges
    gallery: str
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> bool:
        """See Request."""
        return shard.faces.change(self.face_id, self.changes, gallery=self.gallery)


@dataclass(frozen=True)
class Remove(Request[bool]):
    """See Store.remove."""

    face_id: int
    gallery: str | None
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> bool:
        """See Request."""
        return shard.faces.remove(self.face_id, gallery=self.gallery)


@dataclass(frozen=True)
class RemoveExpired(Request[int]):
    """See Store.remove_expired."""

    now: datetime
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.faces.remove_expired(self.now)


@dataclass(frozen=True)
class Count(Request[int]):
    """See Store.count."""

    gallery: str | None

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.faces.count(gallery=self.gallery)


@dataclass(frozen=True)
class ReadFigures(Request[Figures]):
    """See Store.figures."""

    def carry_out(self, shard: Shard) -> Figures:
        """See Request."""
        return shard.faces.figures()


@dataclass(frozen=True)
class ProbeWrite(Request[None]):
    """See Store.probe_write."""

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.probe_write()


@dataclass(frozen=True)
class Optimize(Request[None]):
    """See Store.optimize."""

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.optimize()
