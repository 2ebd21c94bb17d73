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

EXACT_SEARCH = models.SearchParams(exact=True)
"""For a remark's faces: collections are made without links for filtered searches (`payload_m`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSettings:
    """What a new collection is made with; `shards` 0 leaves their number to Qdrant, one for each node."""

    shards: int = 0
    replicas: int = 1
    write_consistency: int = 1
    int8: bool = False


@dataclass(frozen=True, slots=True)
class ExistingCollection:
    """A collection that exists: its real name, and the contract that it keeps, None where it keeps none."""

    name: str
    contract: ModelContract | None
    info: models.CollectionInfo


async def find(link: QdrantLink, name: str) -> ExistingCollection | None:
    """The collection that a name or an alias stands for, None where there is none."""
    listed = (await link.call(lambda client: client.get_collections())).collections
    aliases = (await link.call(lambda client: client.get_aliases())).aliases
    real = {alias.alias_name: alias.collection_name for alias in aliases}.get(name, name)
    if real not in {each.name for each in listed}:
        return None
    info = await link.call(lambda client: client.get_collection(real))
    kept = (info.config.metadata or {}).get(MODEL)
    try:
        return ExistingCollection(real, from_mapping(kept) if kept is not None else None, info)
    except (TypeError, ValueError) as error:
        raise StoreUnavailable(
            f"What the metadata of Qdrant's collection {real} say about the model can't be read; restore them, or name "
            "another gallery with FACE_QDRANT_COLLECTION."
        ) from error


async def create(link: QdrantLink, name: str, contract: ModelContract, collection_settings: CollectionSettings) -> None:
    """Create a collection for this contract, and make the name its alias."""
    real = await create_without_alias(link, name, contract, collection_settings)
    await _update_aliases(link, _create_alias(name, real))


async def create_without_alias(
    link: QdrantLink, name: str, contract: ModelContract, collection_settings: CollectionSettings
) -> str:
    """Create a collection for this contract, for which no name stands yet; its real name.

    What another replica, or a service that was killed, has created of it already stays.
    """
    real = real_name(name, contract)
    if await find(link, real) is None:
        try:
            await link.call(
                lambda client: _create_collection(client, real, contract, collection_settings), BULK_LIMIT_S
            )
        except StoreUnavailable:
            if await find(link, real) is None:  # else another one was quicker
                raise
    await add_indexes(link, real, {})
    return real


def real_name(name: str, contract: ModelContract) -> str:
    """The collection of a gallery and a model; so faces can be embedded anew beside the ones in use."""
    digest = hashlib.sha256(json.dumps(to_mapping(contract), sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


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


async def write_contract(link: QdrantLink, found: ExistingCollection, contract: ModelContract) -> None:
    """Write the contract into a collection that an operator made; it must be empty and of the right shape.

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


async def _create_collection(
    client: AsyncQdrantClient, real: str, contract: ModelContract, collection_settings: CollectionSettings
) -> None:
    """Choices after Qdrant's guides «Optimizing performance» and «Memory tiers» (qdrant.tech/documentation).

    A recognition looks for a handful among all faces, by their embedding alone, and a wrong neighbour is a wrong
    person: precision and speed first, memory for the embeddings, none for the pictures, of which an answer reads five.
    """
    # With int8 the small copies stay in RAM whatever happens, and the exact embeddings wait on disk to rank the best.
    vectors = models.Memory.COLD if collection_settings.int8 else models.Memory.CACHED
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
            # A search that filters is an exact one, so links for filtered searches would be kept for nothing.
            payload_m=0,
        ),
        payload=models.PayloadStorageParams(memory=models.Memory.COLD),
        quantization_config=models.ScalarQuantization(scalar=scalar) if collection_settings.int8 else None,
        shard_number=collection_settings.shards or None,
        replication_factor=collection_settings.replicas,
        write_consistency_factor=collection_settings.write_consistency,
        metadata={MODEL: to_mapping(contract)},
    )
