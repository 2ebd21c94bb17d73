"""A shard that is half made, damaged, open elsewhere, or on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from qdrant_edge import EdgeShard

from service.errors import GalleryInUse, StoreUnavailable
from service.stores.edge.shard import Shard
from service.stores.edge.store import EdgeStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY
from tests.support.stored_faces import CONTRACT, embedding, face, fill


def leave_half_made(folder: Path) -> None:
    """What a crash leaves of a new gallery: the contract, and a shard that isn't finished."""
    shard = Shard(folder)
    shard.bind(CONTRACT, face_id_bits=53)
    shard.close()
    (folder / "contract.json.new").write_text('{"mod')
    (folder / "shard").rename(folder / "shard.new")
    (folder / "shard.new" / "edge_config.json").unlink()


def damage(folder: Path) -> None:
    """Spoil a file that the shard can't do without."""
    (config,) = folder.glob("shard/segments/*/segment.json")
    config.write_text("{")


async def test_a_shard_that_another_program_reads_is_in_use(edge: EdgeStore, folder: Path) -> None:
    """Edge's own lock counts too, and is not mistaken for damage."""
    await edge.close()
    intruder = EdgeShard.load(str(folder / "shard"))
    with pytest.raises(GalleryInUse, match="another program"):
        await EdgeStore(folder).open()
    intruder.close()
    assert await edge.open() == CONTRACT


async def test_a_crash_between_contract_and_shard_heals(folder: Path) -> None:
    """A service killed while it made the gallery leaves one that the next can open."""
    leave_half_made(folder)
    store = EdgeStore(folder)
    assert await store.open() == CONTRACT
    await store.bind(CONTRACT)
    await fill(store, [face(1)])
    await store.close()


@pytest.mark.slow
async def test_a_damaged_shard_is_said_to_be(edge: EdgeStore, folder: Path) -> None:
    """The service doesn't start on half a gallery, and says where it is and what to do."""
    await fill(edge, [face(number) for number in range(1, 11)])
    await edge.close()
    damage(folder)
    with pytest.raises(StoreUnavailable, match=r"damaged.*backup"):
        await EdgeStore(folder).open()


def test_a_full_disk_refuses_registrations_only(folder: Path) -> None:
    """With the reserve touched nothing is added, but faces can still be found and removed."""
    shard = Shard(folder)
    shard.bind(CONTRACT, face_id_bits=53)
    shard.faces.add_many([(face(1), embedding(1))])
    shard.close()
    full = Shard(folder, disk_reserve_bytes=2**62)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        full.faces.add_many([(face(2), embedding(2))])
    assert full.faces.add_many([(face(1), embedding(1))]) == [Added.KNOWN]
    assert len(full.faces.search(embedding(1), limit=5, people=None, gallery=DEFAULT_GALLERY).neighbours) == 1
    assert full.faces.remove(1, gallery=DEFAULT_GALLERY)
    full.sync()
    full.close()
