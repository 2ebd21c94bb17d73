"""What the service may ask the gallery's process about many faces that are to go, as requests.py does about faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from service.stores.edge.requests import Request

if TYPE_CHECKING:  # the service makes requests too, and must not load Edge
    from service.stores.edge.shard import Shard


@dataclass(frozen=True, kw_only=True)
class PageIds(Request[list[int]]):
    """See Store.ids."""

    gallery: str
    device_id: str | None
    after: int
    limit: int

    def carry_out(self, shard: Shard) -> list[int]:
        """See Request."""
        return shard.faces.page_ids(gallery=self.gallery, device_id=self.device_id, after=self.after, limit=self.limit)


@dataclass(frozen=True)
class RemoveMany(Request[None]):
    """See Store.remove_many."""

    face_ids: Sequence[int]
    gallery: str
    writes: ClassVar[bool] = True

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.faces.remove_many(self.face_ids, gallery=self.gallery)
