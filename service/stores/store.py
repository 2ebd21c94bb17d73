"""What every gallery store must do, and how one gallery takes another's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from service.stores.listing import Key
from service.values import Embedding, ModelContract, Nearest, StoredFace


class Added(Enum):
    """What became of a face that was handed to `Store.add`."""

    NEW = "new"
    KNOWN = "known"
    """The same photo with the same remark is there already; nothing was written."""
    TAKEN = "taken"
    """Its face_id belongs to another photo or remark; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A gallery's size: faces, different remarks (MAX_COUNTED_REMARKS at most), and how many faces the index covers."""

    faces: int
    remarks: int
    indexed: int


MAX_COUNTED_REMARKS = 1_000_000
"""More different remarks aren't counted: it would take a store too much memory."""


class Store(Protocol):
    """Remembers faces and finds the nearest ones.

    Every method raises StoreUnavailable when the engine behind it can't be reached; what was answered before that is
    on disk.
    """

    async def open(self) -> ModelContract | None:
        """Connect, and return the contract the gallery was made with, None where it is new.

        Raises GalleryInUse when another process has the embedded gallery open.
        """

    async def bind(self, contract: ModelContract) -> None:
        """Create the gallery for this contract where it is new; else raise ContractMismatch unless it is the same."""

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """Write a face unless its face_id is there already; durable once it returns."""

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """Likewise for several faces in one go, 64 to 256 at best; the answers in their order."""

    async def search(
        self, embedding: Embedding, limit: int, *, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """The `limit` most similar faces, best first, all or those of one remark.

        With `people`, they are read only until they have so many remarks.
        """

    def scan(
        self, offset: int = 0, limit: int | None = None, *, after: Key | None = None, remark: str | None = None
    ) -> AsyncIterator[StoredFace]:
        """Every face, oldest first, read page by page; `offset` faces are skipped, `limit` returned at most.

        With `after` those that come behind that key in the list, whether its face is there or not; with `remark` those
        of one remark.
        """

    def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """Every face with its embedding, by rising face_id from past `after`, page by page: for moving a gallery."""

    def scan_keys(self, after: int = 0) -> AsyncIterator[Key]:
        """The key of every face, by rising face_id from past `after`, page by page: for comparing galleries."""

    async def fetch(self, face_ids: Sequence[int]) -> Mapping[int, StoredFace]:
        """Those of some faces that are there, by face_id; 64 to 256 at best."""

    async def embeddings(self, face_ids: Sequence[int]) -> Mapping[int, Embedding]:
        """Those of some faces that are there, by face_id; 64 to 256 at best."""

    async def remove(self, face_id: int) -> bool:
        """Forget a face for good; False where there is none of that number."""

    async def count(self) -> int:
        """How many faces there are, exactly."""

    async def figures(self) -> Figures:
        """Faces and remarks exactly, what the index covers about; may take seconds."""

    async def optimize(self) -> None:
        """Make searching fast after many faces were added, where the engine doesn't do so by itself.

        That may take minutes, during which other calls wait or fail.
        """

    async def close(self) -> None:
        """Flush and let go; safe to call twice."""


class Migration(Protocol):
    """A gallery, and one of another model that grows beside it and takes its place in the end.

    Every method raises StoreUnavailable as those of a store do. Killed at any moment, it leaves the old gallery or the
    new one in place, each whole, and can be begun again.
    """

    @property
    def old(self) -> Store:
        """The gallery that is in use."""

    async def open(self) -> ModelContract | None:
        """Connect, and return the contract of the gallery in use, None where there is none yet."""

    async def begin(self, contract: ModelContract) -> Store:
        """The gallery that is to take its place, with the faces that an earlier try has brought there."""

    def block_writes(self) -> AbstractAsyncContextManager[None]:
        """As long as the block runs, no adding to the old gallery and no removing from it is answered as done."""

    async def switch(self, *, drop_old: bool) -> str:
        """Put the new one in the old one's place, from within `block_writes`; in words, where the old one is or was."""

    async def close(self) -> None:
        """Let go of both; safe to call twice."""
