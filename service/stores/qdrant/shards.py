"""Whether the shards of a collection are where they should be: on every node that is asked, and whole."""

from __future__ import annotations

import asyncio

from qdrant_client import models

from service.errors import StoreUnavailable
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink

POLL_S = 0.2


async def wait_until_active(link: QdrantLink, real: str, *, limit_s: float = BULK_LIMIT_S) -> None:
    """Wait until each shard has a copy that answers, as the node that is asked sees it.

    A collection that another service has just made is known to every node, but for a moment its shards aren't. Raises
    StoreUnavailable where they don't become active within the limit.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while True:
        about = await link.call(lambda client: client.collection_cluster_info(real))
        active = {shard for shard, state in _states(about) if state is models.ReplicaState.ACTIVE}
        if len(active) >= about.shard_count:
            return
        if loop.time() > deadline:
            raise StoreUnavailable(
                f"The shards of Qdrant's collection {real} have not become active within {limit_s:g} s; see that all "
                "of Qdrant's nodes run."
            )
        await asyncio.sleep(POLL_S)


async def are_whole(link: QdrantLink, real: str) -> bool:
    """Whether every copy of every shard answers and is complete, so that nothing is on its way to one."""
    about = await link.call(lambda client: client.collection_cluster_info(real))
    whole = all(state is models.ReplicaState.ACTIVE for _, state in _states(about))
    return whole and not about.shard_transfers and not about.resharding_operations


def _states(about: models.CollectionClusterInfo) -> list[tuple[int, models.ReplicaState]]:
    local = [(each.shard_id, each.state) for each in about.local_shards]
    return local + [(each.shard_id, each.state) for each in about.remote_shards]
