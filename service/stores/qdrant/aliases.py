"""The names that stand for collections of Qdrant."""

from __future__ import annotations

from qdrant_client import models

from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink


async def give_name(link: QdrantLink, name: str, real: str) -> None:
    """Make the name a collection's alias, and that of no other."""
    create = models.CreateAlias(collection_name=real, alias_name=name)
    operation = models.CreateAliasOperation(create_alias=create)
    await link.call(lambda client: client.update_collection_aliases([operation]), BULK_LIMIT_S)


async def stands_for(link: QdrantLink, name: str, real: str, limit_s: float | None = None) -> bool:
    """Whether the name is a collection's alias, as far as the node that is asked has heard."""
    answer = await link.call(lambda client: client.get_collection_aliases(real), limit_s)
    return name in {alias.alias_name for alias in answer.aliases}
