"""How a shard of Qdrant Edge is made: its embeddings, its search index, and the indexes of the fields asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import qdrant_edge as qdrant

from service.files import rename_durably
from service.stores.edge.compaction import DRAFT
from service.stores.payload import EXPIRES_AT, GALLERY, KEYWORDS, REGISTERED_AT
from service.stores.people import NAME, NAME_ORDER, PERSON

# On disk, the index of a segment that was built is used as it is, from the mapped file. In memory it would be read anew
# whenever the shard is opened: 1.1 s of a core for 100,000 faces, in which no request is answered, and 1 KB for each.
_KEYWORD = qdrant.KeywordIndexParams(enable_hnsw=False, on_disk=True)
_WHOLE_NUMBER = qdrant.IntegerIndexParams(lookup=True, range=True, enable_hnsw=False, on_disk=True)
_TIME = qdrant.DatetimeIndexParams(enable_hnsw=False, on_disk=True)

INDEXES: dict[str, qdrant.PayloadSchemaParams] = {
    GALLERY: qdrant.KeywordIndexParams(is_tenant=True),
    **dict.fromkeys((*KEYWORDS, NAME), _KEYWORD),
    **dict.fromkeys((NAME_ORDER, PERSON), _WHOLE_NUMBER),
    **dict.fromkeys((REGISTERED_AT, EXPIRES_AT), _TIME),
}
"""The index of each field that questions are asked of; only galleries are searched through links of their own.

That of galleries stays in memory: it is asked of every face that a search looks at.
"""

_HNSW = qdrant.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000, payload_m=16)
"""Links inside each gallery and none between them, as Qdrant advises where each search is in one tenant.

The other two are Qdrant's own: neighbours looked at for each new link, and kilobytes of embeddings below which a
gallery is searched without links.
"""


def configuration(dimension: int) -> qdrant.EdgeConfig:
    """What a shard for embeddings of so many numbers is loaded with."""
    vectors = qdrant.EdgeVectorParams(size=dimension, distance=qdrant.Distance.Cosine)
    return qdrant.EdgeConfig(vectors=vectors, hnsw_config=_HNSW)


def create_in_place(path: Path, dimension: int) -> None:
    """Make an empty shard under another name first, so that one that bears its name is complete."""
    draft = path.with_name(DRAFT)
    shutil.rmtree(draft, ignore_errors=True)
    new_shard(draft, dimension).close()
    rename_durably(draft, path)


def new_shard(path: Path, dimension: int) -> qdrant.EdgeShard:
    """An empty shard with all its indexes, at a path where nothing is."""
    shard = qdrant.EdgeShard.create(str(path), configuration(dimension))
    for name, schema in INDEXES.items():
        shard.update(qdrant.UpdateOperation.create_field_index(name, schema))
    shard.flush()
    return shard
