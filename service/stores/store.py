"""What every gallery store must do, and how one gallery takes another's place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from service.stores.listing import Key, Stamp
from service.stores.people import PersonKey
from service.values import Embedding, Erasure, FaceChanges, GalleryEntry, ModelContract, Nearest, Person, StoredFace


class Added(Enum):
    """What became of a face that was handed to `Store.add`."""

    NEW = "new"
    KNOWN = "known"
    """The same photo with the same remark is there already; nothing was written."""
    TAKEN = "taken"
    """Its face_id belongs to another photo or remark; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The size of all galleries: faces, people (remarks of a gallery), and how many faces the index covers.

    `are_remarks_estimated` where there are too many people to count them in a moment.
    """

    faces: int
    remarks: int
    indexed: int
    are_remarks_estimated: bool = False


class Store(Protocol):
    """Remembers faces and finds the nearest ones.

    Every method raises StoreUnavailable when the engine behind it can't be reached; what was answered before that is
    on disk.
    """

    async def open(self) -> ModelContract | None:
        """Connect, and return the contract the gallery was made with, None where it is new.

        Raises GalleryInUse when another process has the embedded gallery open.
        """

    async def bind(self, contract: ModelContract, *, face_id_bits: int = 31) -> None:
        """Create the gallery for this contract where it is new; else raise ContractMismatch unless it is the same.

        `face_id_bits` (31 or 53) is for a new one; one that is there keeps its own. What an older version of this
        service left is brought up to date.
        """

    @property
    def face_id_bits(self) -> int:
        """Its numbers of faces are below 2 to this power; known once it is bound."""

    @property
    def node(self) -> str | None:
        """The address of the server's node that is asked now; None where the gallery is in a folder."""

    async def add(self, face: StoredFace, embedding: Embedding) -> Added:
        """Write a face unless its face_id is there already; durable once it returns."""

    async def add_many(self, faces: Sequence[tuple[StoredFace, Embedding]]) -> list[Added]:
        """Likewise for several faces in one go, 64 to 256 at best; the answers in their order."""

    async def search(
        self, embedding: Embedding, limit: int, *, gallery: str, people: int | None = None, remark: str | None = None
    ) -> Nearest:
        """The `limit` most similar faces of a gallery, best first, all or those of one remark.

        With `people`, they are read only until they have so many remarks.
        """

    def scan(
        self,
        offset: int = 0,
        limit: int | None = None,
        *,
        gallery: str,
        after: Key | None = None,
        remark: str | None = None,
    ) -> AsyncIterator[StoredFace]:
        """Every face of a gallery, oldest first, page by page; `offset` faces are skipped, `limit` returned at most.

        With `after` those that come behind that key in the list, whether its face is there or not; with `remark` those
        of one remark.
        """

    def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """Every face of all galleries with its embedding, by rising face_id from past `after`: for moving them."""

    def scan_keys(self, after: int = 0) -> AsyncIterator[Stamp]:
        """The key of every face of all galleries, by rising face_id from past `after`, and which change was its last:
        for comparing stores.
        """

    async def fetch(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, StoredFace]:
        """Those of some faces that are in a gallery (None: in any), by face_id; 64 to 256 at best."""

    async def embeddings(self, face_ids: Sequence[int], *, gallery: str | None) -> Mapping[int, Embedding]:
        """Those of some faces that are in a gallery (None: in any), by face_id; 64 to 256 at best."""

    async def change(self, face_id: int, changes: FaceChanges, *, gallery: str) -> bool:
        """Give a face of a gallery other fields; False where there is none of that number. Durable once it returns."""

    async def remove(self, face_id: int, *, gallery: str | None) -> bool:
        """Forget a face of a gallery (None: of any) for good; False where there is none of that number."""

    async def ids(self, *, gallery: str, device_id: str | None, after: int, limit: int) -> list[int]:
        """The next `limit` numbers of a gallery's faces past `after`, all or those that a device registered."""

    async def remove_many(self, face_ids: Sequence[int], *, gallery: str) -> None:
        """Forget some faces of a gallery for good, those that are there; some hundreds at best."""

    async def remove_expired(self, now: datetime) -> int:
        """Forget all faces whose time is up, in every gallery; how many there were, about."""

    async def mark_seen(self, people: Sequence[tuple[str, str]], at: datetime) -> None:
        """Keep with all faces of some people, each a gallery and a remark, when they were seen last."""

    async def remove_unseen(self, before: datetime, now: datetime) -> int:
        """Forget the faces of people who were seen last before a time, in every gallery; how many there were, about.

        Faces of which nothing is known count as seen `now`.
        """

    async def count(self, *, gallery: str | None = None) -> int:
        """How many faces there are in a gallery (None: in all), exactly."""

    async def people(
        self, limit: int, *, gallery: str, after: PersonKey | None = None, part: str | None = None
    ) -> tuple[list[Person], PersonKey | None]:
        """The next `limit` people of a gallery behind a key, and behind which key it goes on, None at the end.

        They come in the order of stores/people.py. With `part` only those whose remark contains it, in whatever case.
        """

    async def person(self, remark: str, *, gallery: str) -> Person | None:
        """The person of a remark, None where there is no face of it."""

    async def rename_person(self, remark: str, new: str, *, gallery: str) -> int:
        """Give every face of a remark another one, which may be in use; how many there were, about."""

    async def remove_person(self, remark: str, *, gallery: str) -> int:
        """Forget every face of a remark for good; how many there were, about."""

    async def galleries(self) -> list[GalleryEntry]:
        """The galleries that there are, the default one first, then by name."""

    async def create_gallery(self, name: str, created_at: datetime) -> bool:
        """Make an empty gallery; False where it is there already. Durable once it returns.

        Of two services that make it at the same moment both may be answered True; no face in it is lost by that.
        Faces that were added under this name while there was no such gallery are forgotten.
        """

    async def remove_gallery(self, name: str) -> bool:
        """Forget a gallery and its faces for good; False where there is none. The default one only loses its faces."""

    async def require_current(self) -> None:
        """Raise GalleryMoved where a gallery of another model has taken this one's place, which others can do only to
        a gallery on a server.
        """

    async def figures(self) -> Figures:
        """Faces exactly, remarks exactly or within some percent, what the index covers about; quick at any size."""

    async def erasure(self) -> Erasure | None:
        """What is known of the bytes of removed faces; None where the engine doesn't tell."""

    async def probe_write(self) -> None:
        """Raise StoreUnavailable where it is known that nothing could be registered now; nothing stays written."""

    async def optimize(self, *, purge: bool = False) -> None:
        """Make searching fast after many faces were added, where the engine doesn't do so by itself.

        With `purge` nothing of removed faces is left on disk, either. That may take minutes, during which other calls
        wait or fail.
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

    async def switch(self) -> str:
        """Put the new one in the old one's place, from within `block_writes`; in words, where the old one is."""

    @property
    def is_shared(self) -> bool:
        """Whether services may have the old gallery open: what they were refused may have been carried out."""

    async def drop_old(self) -> None:
        """Delete the old one, after `switch`."""

    async def close(self) -> None:
        """Let go of both; safe to call twice."""
