"""How the gallery lies in Qdrant: the collection behind its name, its settings, and the contract that it keeps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from service.errors import StoreUnavailable
from service.stores.contracts import from_mapping, to_mapping
from service.stores.qdrant import aliases, shards, writable
from service.stores.qdrant.indexes import add_indexes
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink
from service.values import ModelContract

MODEL = "model_contract"
"""The contract's key in the collection's metadata."""

FACE_ID_BITS = "face_id_bits"
"""The key of how large its numbers of faces may be; collections of older versions lack it, and have 53 bits."""

KEY_CHECK = "key_check"
"""The key of which key the faces are encrypted with; collections in clear lack it."""

OPENED = "opened"
"""The key that tells that it has been made writable once; see writable.py."""

LAYOUT = "layout"
"""The key of which fields and indexes all of its faces have; see upgrade.py."""

CURRENT_LAYOUT = 2

HNSW = models.HnswConfigDiff(m=0, payload_m=16)
"""Links inside each gallery and none between them, as Qdrant advises where each search is in one tenant."""

SEARCH = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0))
"""In a collection with int8, twice the faces are looked at, and ranked by their exact embeddings."""

EXACT_SEARCH = models.SearchParams(exact=True)
"""For a remark's faces: there are links of the search index inside whole galleries only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSettings:
    """What a new collection is made with; `shards` 0 leaves their number to Qdrant, one for each node.

    `key_check` tells with which key its faces are encrypted, None: they aren't; one that is there must have the same.
    """

    shards: int = 0
    replicas: int = 1
    write_consistency: int = 1
    int8: bool = False
    key_check: str | None = None


@dataclass(frozen=True, slots=True)
class ExistingCollection:
    """A collection that exists: its real name, and the contract that it keeps, None where it keeps none."""

    name: str
    contract: ModelContract | None
    info: models.CollectionInfo

    @property
    def face_id_bits(self) -> int:
        """Its numbers of faces are below 2 to this power."""
        return int((self.info.config.metadata or {}).get(FACE_ID_BITS, 53))

    @property
    def key_check(self) -> str | None:
        """Which key its faces are encrypted with, None where they aren't."""
        kept = (self.info.config.metadata or {}).get(KEY_CHECK)
        return None if kept is None else str(kept)

    @property
    def was_opened(self) -> bool:
        """Whether it has been made writable; from then on only a move to another model changes that."""
        return bool((self.info.config.metadata or {}).get(OPENED))

    @property
    def is_current(self) -> bool:
        """Whether all of its faces have the fields of this version, and the fields their indexes."""
        return bool((self.info.config.metadata or {}).get(LAYOUT, 1) >= CURRENT_LAYOUT)


async def find(link: QdrantLink, name: str) -> ExistingCollection | None:
    """The collection that a name or an alias stands for, None where there is none."""
    listed = (await link.call(lambda client: client.get_collections())).collections
    named = (await link.call(lambda client: client.get_aliases())).aliases
    real = {alias.alias_name: alias.collection_name for alias in named}.get(name, name)
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


async def find_made(link: QdrantLink, name: str) -> ExistingCollection:
    """One that was there, or was made, a moment ago. Raises StoreUnavailable where it is gone."""
    found = await find(link, name)
    if found is None:
        raise StoreUnavailable("The collection was deleted while it was being opened; start again.")
    return found


async def create(
    link: QdrantLink,
    name: str,
    contract: ModelContract,
    collection_settings: CollectionSettings,
    *,
    face_id_bits: int = 31,
) -> None:
    """Create a collection for this contract, and make the name its alias."""
    real = await create_without_alias(link, name, contract, collection_settings, face_id_bits=face_id_bits)
    await aliases.give_name(link, name, real)


async def create_without_alias(
    link: QdrantLink,
    name: str,
    contract: ModelContract,
    collection_settings: CollectionSettings,
    *,
    face_id_bits: int,
) -> str:
    """Create a collection for this contract, for which no name stands yet; its real name.

    What another replica, or a service that was killed, has created of it already stays.
    """
    real = real_name(name, contract, collection_settings.key_check)
    metadata = new_metadata(contract, face_id_bits, collection_settings.key_check)
    if await find(link, real) is None:
        try:
            await link.call(
                lambda client: _create_collection(client, real, metadata, contract.dimension, collection_settings),
                BULK_LIMIT_S,
            )
        except StoreUnavailable:
            if await find(link, real) is None:  # else another one was quicker
                raise
    await shards.wait_until_active(link, real)
    await add_indexes(link, real, {})
    return real


def real_name(name: str, contract: ModelContract, key_check: str | None = None) -> str:
    """The collection of a gallery, a model and a key; so faces can be embedded anew beside the ones in use."""
    made_for = json.dumps(to_mapping(contract), sort_keys=True) + (key_check or "")
    digest = hashlib.sha256(made_for.encode()).hexdigest()
    return f"{name}-{digest[:8]}"


def new_metadata(contract: ModelContract, face_id_bits: int, key_check: str | None = None) -> dict[str, Any]:
    """What a collection without faces is given for this contract, and for the key of that check."""
    metadata = {MODEL: to_mapping(contract), FACE_ID_BITS: face_id_bits, LAYOUT: CURRENT_LAYOUT}
    return metadata if key_check is None else {**metadata, KEY_CHECK: key_check}


async def write_contract(
    link: QdrantLink, found: ExistingCollection, contract: ModelContract, metadata: dict[str, Any]
) -> None:
    """Write `new_metadata` into a collection that an operator made; it must be empty and of the contract's shape.

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
    await write_metadata(link, found.name, metadata)


async def write_metadata(link: QdrantLink, real: str, metadata: dict[str, Any]) -> None:
    """Give a collection these metadata beside those that it has; a key whose value is None is removed.

    Qdrant merges key by key, so two services that write different ones at once lose neither.
    """
    await link.call(lambda client: client.update_collection(real, metadata=metadata), BULK_LIMIT_S)


async def make_writable(link: QdrantLink, real: str, *, dimension: int) -> None:
    """Let faces be added to a collection and removed from it, once for all; cut off, it can be repeated."""
    await writable.open_for_writing(link, real, dimension=dimension)
    await write_metadata(link, real, {OPENED: True})


async def _create_collection(
    client: AsyncQdrantClient,
    real: str,
    metadata: dict[str, Any],
    dimension: int,
    collection_settings: CollectionSettings,
) -> None:
    """Choices after Qdrant's guides «Optimizing performance» and «Memory tiers» (qdrant.tech/documentation).

    A recognition looks for a handful among all faces of a gallery, by their embedding alone, and a wrong neighbour is
    a wrong person: precision and speed first, memory for the embeddings, none for the pictures, of which an answer
    reads five.
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
        vectors_config=models.VectorParams(size=dimension, distance=models.Distance.COSINE, memory=vectors),
        # Twice Qdrant's default, for searching too: more precise at the price of building time, not of memory.
        hnsw_config=HNSW.model_copy(update={"ef_construct": 200}),
        payload=models.PayloadStorageParams(memory=models.Memory.COLD),
        quantization_config=models.ScalarQuantization(scalar=scalar) if collection_settings.int8 else None,
        shard_number=collection_settings.shards or None,
        replication_factor=collection_settings.replicas,
        write_consistency_factor=collection_settings.write_consistency,
        metadata=metadata,
    )
