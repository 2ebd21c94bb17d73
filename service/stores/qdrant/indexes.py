"""Which fields of a collection are indexed, and how."""

from __future__ import annotations

from qdrant_client import models

from service.stores.payload import EXPIRES_AT, GALLERY, KEYWORDS, REGISTERED_AT
from service.stores.people import NAME, NAME_ORDER, PERSON
from service.stores.qdrant.link import BULK_LIMIT_S, QdrantLink


async def add_indexes(link: QdrantLink, real: str, present: dict[str, models.PayloadIndexInfo]) -> None:
    """Index the fields that are filtered or ordered by; making an index again changes nothing."""
    for name, schema in _indexes().items():
        if name not in present:
            await link.call(
                lambda client, name=name, schema=schema: client.create_payload_index(real, name, schema),  # type: ignore[misc]
                BULK_LIMIT_S,
            )


def _indexes() -> dict[str, models.PayloadSchemaParams]:
    """The index of each field that questions are asked of; only galleries are searched through links of their own."""
    # Seldom asked for, and as large as the gallery: on disk, in the page cache as long as there is room.
    memory = models.Memory.CACHED
    keyword, whole = models.KeywordIndexType.KEYWORD, models.IntegerIndexType.INTEGER
    equal = models.KeywordIndexParams(type=keyword, memory=memory, enable_hnsw=False)
    number = models.IntegerIndexParams(type=whole, memory=memory, enable_hnsw=False, lookup=True, range=True)
    time = models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, memory=memory, enable_hnsw=False)
    return {
        GALLERY: models.KeywordIndexParams(type=keyword, memory=memory, is_tenant=True),
        **dict.fromkeys(KEYWORDS, equal),
        # Qdrant 1.20 looks for a part of a name in the keys of an index with `prefix`.
        NAME: equal.model_copy(update={"prefix": True}),
        **dict.fromkeys((NAME_ORDER, PERSON), number),
        **dict.fromkeys((REGISTERED_AT, EXPIRES_AT), time),
    }
