"""Gives the space of removed faces back on a disk where Edge's own optimizing doesn't have room enough.

Edge copies whole segments, and wants room for them with all that was removed. Here only the faces that are left are
copied, into a new shard beside the old one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant

from service.errors import StoreUnavailable
from service.files import fsync, rename_durably

FACES_AT_ONCE = 500

EMPTY_SHARD_BYTES = 72 * 2**20
"""A shard without faces takes up to so much, most of it preallocated."""

_SAMPLE = 200
_FACE_BYTES = 4096
"""Of each face beside its picture: the embedding, and its places in the indexes."""


DRAFT = "shard.new"
"""The folder of a shard that is still being made, beside `shard`."""


def copy_shard(edge: qdrant.EdgeShard, folder: Path, create: Callable[[Path], qdrant.EdgeShard]) -> None:
    """Bring the faces into a new shard, `shard.new` in the folder. Raises StoreUnavailable where there is no room.

    The sentence says how much must be freed.
    """
    shutil.rmtree(folder / DRAFT, ignore_errors=True)
    require_room(edge, folder)
    if faces := edge.count(qdrant.CountRequest(exact=True)):
        _copy(edge, create(folder / DRAFT), faces)


def require_room(edge: qdrant.EdgeShard, folder: Path, spare_bytes: int = 0, copies: int = 1) -> None:
    """Raise StoreUnavailable where the disk has no room for so many copies of all that is left, and some to spare.

    The sentence says how much must be freed.
    """
    faces = edge.count(qdrant.CountRequest(exact=True))
    wanted = EMPTY_SHARD_BYTES + copies * faces * _bytes_of_a_face(edge) if faces else 0
    free = shutil.disk_usage(folder).free - spare_bytes
    if free < wanted:
        raise StoreUnavailable(
            "The gallery's disk is too full to copy its faces, to give the space of removed ones back or to build an "
            f"index: free {(wanted - free >> 20) + 1} MB on it, and repeat this."
        )


def switch_shards(folder: Path, *, is_on_disk: bool = False) -> None:
    """Put `shard.new` in the place of `shard`, both closed; without one, leave no shard at all.

    `is_on_disk` says that all bytes of the new one are. What is left is `shard.gone`, which may be deleted.
    """
    shutil.rmtree(folder / "shard.gone", ignore_errors=True)
    if (folder / DRAFT).exists():
        for each in () if is_on_disk else (*(folder / DRAFT).rglob("*"), folder / DRAFT):
            fsync(each)
        rename_durably(folder / "shard", folder / "shard.old")
        rename_durably(folder / DRAFT, folder / "shard")
        rename_durably(folder / "shard.old", folder / "shard.gone")
    else:
        rename_durably(folder / "shard", folder / "shard.gone")


def finish_switch(folder: Path) -> None:
    """Finish or undo a `switch_shards` that was cut off, and delete what a killed process left of a new shard."""
    shutil.rmtree(folder / "shard.gone", ignore_errors=True)
    old = folder / "shard.old"
    if old.exists():
        if (folder / "shard").exists():
            rename_durably(old, folder / "shard.gone")
            shutil.rmtree(folder / "shard.gone")
        else:
            rename_durably(old, folder / "shard")
    shutil.rmtree(folder / DRAFT, ignore_errors=True)


def _bytes_of_a_face(edge: qdrant.EdgeShard) -> int:
    records: list[Any] = edge.scroll(qdrant.ScrollRequest(limit=_SAMPLE, with_payload=True, with_vector=False))[0]
    pictures = sum(len(each.payload.get("picture") or "") for each in records)
    return _FACE_BYTES + pictures // max(1, len(records)) * 5 // 4


def _copy(edge: qdrant.EdgeShard, new: qdrant.EdgeShard, faces: int) -> None:
    after = 0
    while True:
        request = qdrant.ScrollRequest(offset=after + 1, limit=FACES_AT_ONCE, with_payload=True, with_vector=True)
        records: list[Any] = edge.scroll(request)[0]
        if not records:
            break
        points = [qdrant.Point(each.id, each.vector, each.payload) for each in records]
        new.update(qdrant.UpdateOperation.upsert_points(points))
        after = records[-1].id
        new.flush()
    copied = new.count(qdrant.CountRequest(exact=True))
    new.close()
    if copied != faces:
        raise StoreUnavailable(f"Only {copied:,} of {faces:,} faces could be copied, so the gallery stays as it is.")
