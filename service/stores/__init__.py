"""What every gallery store must do, and the choice between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from service.faces import Embedding, Match, ModelContract, StoredFace
from service.settings import Settings


class Added(Enum):
    """What became of a face that was handed to `Store.add`."""

    NEW = "new"
    KNOWN = "known"
    """The same photo with the same remark is there already; nothing was written."""
    TAKEN = "taken"
    """Its face_id belongs to another photo or remark; nothing was written."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A gallery's size: faces, different remarks (MAX_REMARKS at most), and how many faces the index covers."""

    faces: int
    remarks: int
    indexed: int


MAX_REMARKS = 1_000_000
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

    async def search(self, embedding: Embedding, limit: int, threshold: float = -1.0) -> list[Match]:
        """The `limit` most similar faces, best first, none with a similarity below the threshold."""

    def scan(self, offset: int = 0, limit: int | None = None) -> AsyncIterator[StoredFace]:
        """Every face, oldest first, read page by page; `offset` faces are skipped, `limit` returned at most."""

    def scan_embedded(self, after: int = 0) -> AsyncIterator[tuple[StoredFace, Embedding]]:
        """Every face with its embedding, by rising face_id from past `after`, page by page: for moving a gallery."""

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


def open_store(settings: Settings) -> Store:
    """The store that the settings ask for, not yet opened."""
    # Imported here, so that each store does without the other's packages.
    if settings.qdrant_url is None:
        from service.stores.edge import EdgeStore

        return EdgeStore(settings.data / "gallery")

    from service.stores.server import ServerStore
    from service.stores.server_collection import Layout
    from service.stores.server_link import connector

    layout = Layout(
        shards=settings.qdrant_shards,
        replicas=settings.qdrant_replicas,
        write_consistency=settings.qdrant_write_consistency,
        int8=settings.qdrant_quantize == "int8",
    )
    connect = connector(settings.qdrant_url, settings.qdrant_grpc_port, settings.qdrant_api_key)
    return ServerStore(connect, settings.collection, layout)
