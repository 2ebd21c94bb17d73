"""How the gallery lies in Qdrant: the collection behind its name, its settings, and the contract that it keeps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from qdrant_client import AsyncQdrantClient, models

from service.errors import StoreUnavailable
from service.stores.contracts import from_mapping, to_mapping
from service.stores.payload import KEYWORDS, REGISTERED_AT
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink
from service.values import ModelContract

MODEL = "model_contract"
"""The contract's key in the collection's metadata."""

SEARCH = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0))
"""In a collection with int8, twice the faces are looked at, and ranked by their exact embeddings."""


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """What a new collection is made with; `shards` 0 leaves their number to Qdrant, one for each node."""

    shards: int = 0
    replicas: int = 1
    write_consistency: int = 1
    int8: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A collection that is there: its real name, and the contract that it keeps, None where it keeps none."""

    name: str
    contract: ModelContract | None
    info: models.CollectionInfo


async def find(link: QdrantLink, name: str) -> Found | None:
    """The collection that a name or an alias stands for, None where there is none."""
    listed = (await link.call(lambda client: client.get_collections())).collections
    aliases = (await link.call(lambda client: client.get_aliases())).aliases
    real = {alias.alias_name: alias.collection_name for alias in aliases}.get(name, name)
    if real not in {each.name for each in listed}:
        return None
    info = await link.call(lambda client: client.get_collection(real))
    kept = (info.config.metadata or {}).get(MODEL)
    try:
        return Found(real, from_mapping(kept) if kept is not None else None, info)
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(
            f"What the metadata of Qdrant's collection {real} say about the model can't be read; restore them, or name "
            "another gallery with FACE_QDRANT_COLLECTION."
        ) from error


async def make(link: QdrantLink, name: str, contract: ModelContract, layout: CollectionSettings) -> None:
    """Make a collection for this contract, and let the name stand for it."""
    await point(link, name, await prepare(link, name, contract, layout))


async def prepare(link: QdrantLink, name: str, contract: ModelContract, layout: CollectionSettings) -> str:
    """Make a collection for this contract, for which no name stands yet; its real name.

    Whatever another replica, or a service that was killed, has done of it already stays.
    """
    real = real_name(name, contract)
    if await find(link, real) is None:
        try:
            await link.call(lambda client: _create(client, real, contract, layout), BULK_LIMIT_S)
        except StoreUnavailable:
            if await find(link, real) is None:  # else another one was quicker
                raise
    await add_indexes(link, real, {})
    return real


def real_name(name: str, contract: ModelContract) -> str:
    """The collection of a gallery and a model; so faces can be embedded anew beside the ones in use."""
    digest = hashlib.sha256(json.dumps(to_mapping(contract), sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


async def point(link: QdrantLink, name: str, real: str) -> None:
    """Let a name stand for a collection from now on, in one step."""
    await _change(link, _named(name, real))


async def hold(link: QdrantLink, real: str) -> None:
    """Let no more faces be added to a collection or removed from it: see `require_current`."""
    await _change(link, _named(_held(real), real))


async def release(link: QdrantLink, real: str) -> None:
    """Undo `hold`, where it was called."""
    if _held(real) in await _names(link, real):
        await _change(link, _unnamed(_held(real)))


async def hand_over(link: QdrantLink, name: str, old: str, new: str) -> None:
    """Let a name stand for the new collection and undo `hold` of the old one, in one step."""
    await _change(link, _named(name, new), _unnamed(_held(old)))


async def require_current(link: QdrantLink, name: str, real: str, limit_s: float | None = None) -> None:
    """Raise StoreUnavailable unless the name stands for this collection and it is not being held.

    A name that is the collection's own needs no looking up: nothing can take its place.
    """
    if name == real:
        return
    names = await _names(link, real, limit_s)
    if name not in names:
        raise StoreUnavailable(
            "The gallery has moved to another model; restart the service with that one, and repeat the request."
        )
    if _held(real) in names:
        raise StoreUnavailable(
            "The gallery is just moving to another model; repeat the request in a moment, or run "
            "`python -m indexer reembed` again if that was cut off."
        )


async def _names(link: QdrantLink, real: str, limit_s: float | None = None) -> set[str]:
    """The aliases of a collection."""
    answer = await link.call(lambda client: client.get_collection_aliases(real), limit_s)
    return {alias.alias_name for alias in answer.aliases}


async def _change(link: QdrantLink, *changes: models.AliasOperations) -> None:
    """All of the changes in one step."""
    await link.call(lambda client: client.update_collection_aliases([*changes]), BULK_LIMIT_S)


def _held(real: str) -> str:
    return f"{real}-held"


def _named(name: str, real: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=real, alias_name=name))


def _unnamed(name: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name))


async def adopt(link: QdrantLink, found: Found, contract: ModelContract) -> None:
    """Write the contract into a collection that somebody made for us; only an empty one of the right shape can be.

    Raises StoreUnavailable.
    """
    params = found.info.config.params.vectors
    fits = (
        isinstance(params, models.VectorParams)
        and params.size == contract.dimension
        and params.distance is models.Distance.COSINE
    )
    count = await link.call(lambda client: client.count(found.name, exact=True))
    if not fits or count.count:
        raise StoreUnavailable(
            f"Qdrant's collection {found.name} is not a gallery of this service; "
            "name another one with FACE_QDRANT_COLLECTION."
        )
    kept = {MODEL: to_mapping(contract)}
    await link.call(lambda client: client.update_collection(found.name, metadata=kept), BULK_LIMIT_S)


async def add_indexes(link: QdrantLink, real: str, present: dict[str, models.PayloadIndexInfo]) -> None:
    """Index the fields that are filtered or ordered by; making an index again changes nothing."""
    # Seldom asked for, and as large as the gallery: on disk, in the page cache as long as there is room.
    keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, memory=models.Memory.CACHED)
    time = models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, memory=models.Memory.CACHED)
    fields: dict[str, models.PayloadSchemaParams] = {**dict.fromkeys(KEYWORDS, keyword), REGISTERED_AT: time}
    for name, schema in fields.items():
        if name not in present:
            await link.call(
                lambda client, name=name, schema=schema: client.create_payload_index(real, name, schema),  # type: ignore[misc]
                BULK_LIMIT_S,
            )


async def _create(client: AsyncQdrantClient, real: str, contract: ModelContract, layout: CollectionSettings) -> None:
    """Choices after Qdrant's guides «Optimizing performance» and «Memory tiers» (qdrant.tech/documentation).

    A recognition looks for a handful among all faces, by their embedding alone, and a wrong neighbour is a wrong
    person: precision and speed first, memory for the embeddings, none for the pictures, of which an answer reads five.
    """
    # With int8 the small copies stay in RAM whatever happens, and the exact embeddings wait on disk to rank the best.
    vectors = models.Memory.COLD if layout.int8 else models.Memory.CACHED
    scalar = models.ScalarQuantizationConfig(
        type=models.ScalarType.INT8,
        quantile=0.99,  # outliers must not coarsen all others
        memory=models.Memory.PINNED,
    )
    await client.create_collection(
        real,
        vectors_config=models.VectorParams(size=contract.dimension, distance=models.Distance.COSINE, memory=vectors),
        hnsw_config=models.HnswConfigDiff(
            # Twice Qdrant's default, for searching too: more precise at the price of building time, not of memory.
            ef_construct=200,
            # No search filters, so links for filtered searches would be built, and kept, for nothing.
            payload_m=0,
        ),
        payload=models.PayloadStorageParams(memory=models.Memory.COLD),
        quantization_config=models.ScalarQuantization(scalar=scalar) if layout.int8 else None,
        shard_number=layout.shards or None,
        replication_factor=layout.replicas,
        write_consistency_factor=layout.write_consistency,
        metadata={MODEL: to_mapping(contract)},
    )
