"""The names that stand for collections of Qdrant: the gallery's, and the one that tells that nothing may be written."""

from __future__ import annotations

from qdrant_client import models

from service.errors import StoreUnavailable
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink


async def give_name(link: QdrantLink, name: str, real: str) -> None:
    """Make the name a collection's alias."""
    await _update_aliases(link, _create_alias(name, real))


async def switch_alias(link: QdrantLink, name: str, *, old: str, new: str) -> None:
    """Make the name the new collection's alias and let the old one be written to again, in one step."""
    await _update_aliases(link, _create_alias(name, new), _delete_alias(_block(old)))


async def block_writes(link: QdrantLink, real: str) -> None:
    """Let no more faces be added to a collection or removed from it: see `require_writable`."""
    await _update_aliases(link, _create_alias(_block(real), real))


async def allow_writes(link: QdrantLink, real: str) -> None:
    """Undo `block_writes`, where it was called."""
    if _block(real) in await _aliases(link, real):
        await _update_aliases(link, _delete_alias(_block(real)))


async def require_writable(link: QdrantLink, *, name: str, real: str, limit_s: float | None = None) -> None:
    """Raise StoreUnavailable unless the name stands for this collection and writing to it isn't blocked.

    A name that is the collection's own needs no looking up: nothing can take its place.
    """
    if name == real:
        return
    aliases = await _aliases(link, real, limit_s)
    if name not in aliases:
        raise StoreUnavailable(
            "The gallery has moved to another model; restart the service with that one, and repeat the request."
        )
    if _block(real) in aliases:
        raise StoreUnavailable(
            "The gallery is just moving to another model; repeat the request in a moment, or run "
            "`python -m indexer reembed` again if that was cut off."
        )


async def _aliases(link: QdrantLink, real: str, limit_s: float | None = None) -> set[str]:
    answer = await link.call(lambda client: client.get_collection_aliases(real), limit_s)
    return {alias.alias_name for alias in answer.aliases}


async def _update_aliases(link: QdrantLink, *changes: models.AliasOperations) -> None:
    """Make all of the changes in one step."""
    await link.call(lambda client: client.update_collection_aliases([*changes]), BULK_LIMIT_S)


def _block(real: str) -> str:
    """A collection that has this alias too must not be written to; every service on every machine sees it there."""
    return f"{real}-held"


def _create_alias(name: str, real: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=real, alias_name=name))


def _delete_alias(name: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))
