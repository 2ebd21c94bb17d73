"""What the service may ask the gallery's process: each request is a value that carries itself out on the shard.

One definition tells both ends, and the type checker, what a request is called, what it takes and what it answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from service.stores.listing import Key
from service.stores.store import Added, Figures
from service.values import Embedding, ModelContract, Nearest, StoredFace

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
class Bind(Request[None]):
    """See Store.bind."""

    contract: ModelContract

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.bind(self.contract)


@dataclass(frozen=True)
class AddMany(Request[list[Added]]):
    """See Store.add_many."""

    faces: Sequence[tuple[StoredFace, Embedding]]
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> list[Added]:
        """See Request."""
        return shard.add_many(self.faces)


@dataclass(frozen=True, kw_only=True)
class Search(Request[Nearest]):
    """See Store.search."""

    embedding: Embedding
    limit: int
    people: int | None
    remark: str | None = None

    def carry_out(self, shard: Shard) -> Nearest:
        """See Request."""
        return shard.search(self.embedding, limit=self.limit, people=self.people, remark=self.remark)


@dataclass(frozen=True, kw_only=True)
class KeysFrom(Request[list[Key]]):
    """See listing.FaceReader."""

    microseconds: int | None
    limit: int
    remark: str | None = None

    def carry_out(self, shard: Shard) -> list[Key]:
        """See Request."""
        return shard.keys_from(self.microseconds, limit=self.limit, remark=self.remark)


@dataclass(frozen=True, kw_only=True)
class KeysAt(Request[list[Key]]):
    """See listing.FaceReader."""

    microseconds: int
    first_id: int
    limit: int
    remark: str | None = None

    def carry_out(self, shard: Shard) -> list[Key]:
        """See Request."""
        return shard.keys_at(self.microseconds, first_id=self.first_id, limit=self.limit, remark=self.remark)


@dataclass(frozen=True)
class Fetch(Request[dict[int, StoredFace]]):
    """See Store.fetch."""

    face_ids: Sequence[int]

    def carry_out(self, shard: Shard) -> dict[int, StoredFace]:
        """See Request."""
        return shard.fetch(self.face_ids)


@dataclass(frozen=True)
class FetchEmbeddings(Request[dict[int, Embedding]]):
    """See Store.embeddings."""

    face_ids: Sequence[int]

    def carry_out(self, shard: Shard) -> dict[int, Embedding]:
        """See Request."""
        return shard.embeddings(self.face_ids)


@dataclass(frozen=True, kw_only=True)
class PageEmbedded(Request[list[tuple[StoredFace, Embedding]]]):
    """The next `limit` faces past a face_id, by face_id, with their embeddings."""

    after: int
    limit: int

    def carry_out(self, shard: Shard) -> list[tuple[StoredFace, Embedding]]:
        """See Request."""
        return shard.page_embedded(after=self.after, limit=self.limit)


@dataclass(frozen=True, kw_only=True)
class PageKeys(Request[list[Key]]):
    """The keys of the next `limit` faces past a face_id, by face_id."""

    after: int
    limit: int

    def carry_out(self, shard: Shard) -> list[Key]:
        """See Request."""
        return shard.page_keys(after=self.after, limit=self.limit)


@dataclass(frozen=True)
class Remove(Request[bool]):
    """See Store.remove."""

    face_id: int
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> bool:
        """See Request."""
        return shard.remove(self.face_id)


@dataclass(frozen=True)
class Count(Request[int]):
    """See Store.count."""

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.count()


@dataclass(frozen=True)
class ReadFigures(Request[Figures]):
    """See Store.figures."""

    def carry_out(self, shard: Shard) -> Figures:
        """See Request."""
        return shard.figures()


@dataclass(frozen=True)
class Optimize(Request[None]):
    """See Store.optimize."""

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.optimize()
