"""What the service may ask the gallery's process about its upkeep, as requests.py does about faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.stores.edge.requests import Request
from service.values import Erasure

if TYPE_CHECKING:  # the service makes requests too, and must not load Edge
    from service.stores.edge.shard import Shard


@dataclass(frozen=True)
class Purge(Request[None]):
    """See Store.optimize, with `purge`."""

    def carry_out(self, shard: Shard) -> None:
        """See Request."""
        shard.purge()


@dataclass(frozen=True)
class ReadErasure(Request[Erasure]):
    """See Store.erasure."""

    def carry_out(self, shard: Shard) -> Erasure:
        """See Request."""
        return shard.upkeep.erasure.state
