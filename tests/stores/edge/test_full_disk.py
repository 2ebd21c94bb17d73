"""A disk that is full, or that can't be written any more: nothing is lost, and its space comes back."""

from __future__ import annotations

import base64
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.errors import StoreUnavailable
from service.stores.edge.compaction import finish_switch
from service.stores.edge.shard import Shard
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY
from tests.stores.edge.test_link import process_of
from tests.support.availability import fails, recovers
from tests.support.disks import mount, small_disk, take_the_rest
from tests.support.stored_faces import CONTRACT, embedding, face

SIZE_MB = 300
AT_ONCE = 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of the test's own."""
    with small_disk(tmp_path / "disk", SIZE_MB) as folder:
        yield folder


def picture(number: int) -> str:
    return base64.b64encode(np.random.default_rng(number).bytes(30_000)).decode()


def fill_up(shard: Shard) -> int:
    """Register until that is refused; how many faces there are."""
    faces = 0
    while True:
        numbers = range(faces + 1, faces + 1 + AT_ONCE)
        try:
            shard.faces.add_many([(face(n, picture=picture(n)), embedding(n)) for n in numbers])
        except StoreUnavailable:
            return faces
        shard.sync()
        faces += AT_ONCE


@pytest.mark.slow
class TestFullDisk:
    @pytest.mark.parametrize("left", [0, 5])
    def test_removed_faces_give_their_space_back(self, disk: Path, left: int) -> None:
        """On a disk without a byte left faces can be removed, and then `optimize` makes room."""
        shard = Shard(disk / "gallery")
        shard.bind(CONTRACT, face_id_bits=31)
        faces = fill_up(shard)
        assert faces > 100
        take_the_rest(disk)
        for number in range(left + 1, faces + 1):
            assert shard.faces.remove(number, gallery=DEFAULT_GALLERY)
            if number % 10 == 0:
                shard.sync()
        shard.sync()
        shard.optimize()
        assert shutil.disk_usage(disk).free > (faces - left) * 30_000
        assert shard.faces.count() == left
        shard.faces.add_many([(face(faces + 1), embedding(faces + 1))])
        shard.close()
        again = Shard(disk / "gallery")
        assert again.faces.count() == left + 1
        assert sorted(again.faces.fetch(range(1, faces), gallery=None)) == list(range(1, left + 1))
        again.close()

    def test_faces_that_stay_are_not_copied_without_room(self, disk: Path) -> None:
        """The sentence says how much must be freed; when it is, the same command works."""
        shard = Shard(disk / "gallery")
        shard.bind(CONTRACT, face_id_bits=31)
        faces = fill_up(shard)
        take_the_rest(disk)
        for number in range(1, faces // 3):
            shard.faces.remove(number, gallery=None)
        shard.sync()
        with pytest.raises(StoreUnavailable, match=r"free \d+ MB"):
            shard.optimize()
        (disk / "another").unlink()
        shard.optimize()
        assert shard.faces.count() == faces - faces // 3 + 1
        shard.close()

    async def test_registrations_are_refused_and_recognitions_go_on(self, disk: Path) -> None:
        """Through the gallery's process; the probe of readiness says that nothing can be registered."""
        store = EdgeStore(disk / "gallery")
        await store.open()
        await store.bind(CONTRACT)
        await store.add(face(1), embedding(1))
        take_the_rest(disk)
        for attempt in (store.probe_write(), store.add(face(2), embedding(2))):
            with pytest.raises(StoreUnavailable, match="disk is full"):
                await attempt
        assert (await store.search(embedding(1), 1, gallery=DEFAULT_GALLERY)).neighbours[0].face_id == 1
        assert await store.remove(1, gallery=None)
        (disk / "another").unlink()
        await store.probe_write()
        await store.close()

    async def test_a_process_that_dies_on_a_full_disk_is_started_again(self, disk: Path) -> None:
        """With the room that is kept for that; where it is taken too, a start says so, and thinks of no damage."""
        store = EdgeStore(disk / "gallery")
        await store.open()
        await store.bind(CONTRACT)
        await store.add(face(1), embedding(1))
        taken = take_the_rest(disk)
        os.kill(process_of(store), signal.SIGKILL)
        await recovers(store.count)
        assert await store.count() == 1
        await store.kill()
        take_the_rest(disk)
        again = EdgeStore(disk / "gallery")
        await fails(again.open(), "full.*; free some space")
        taken.unlink()
        await again.open()
        assert await again.count() == 1
        await again.close()

    async def test_a_disk_that_became_read_only(self, disk: Path) -> None:
        """As disks do that fail: nothing is answered as done, and readiness knows."""
        store = EdgeStore(disk / "gallery")
        await store.open()
        await store.bind(CONTRACT)
        await store.add(face(1), embedding(1))
        await store.close()
        assert mount("-o", "remount,ro", str(disk))
        again = EdgeStore(disk / "gallery")
        with pytest.raises(StoreUnavailable, match="Read-only"):
            await again.open()
        assert mount("-o", "remount,rw", str(disk))
        await again.open()
        assert await again.count() == 1
        await again.close()


class TestSwitch:
    """Cut off between any two of its steps, the gallery has its former shard or the new one."""

    def test_before_the_new_one_is_in_place(self, tmp_path: Path) -> None:
        shard = Shard(tmp_path)
        shard.bind(CONTRACT, face_id_bits=31)
        shard.faces.add_many([(face(1), embedding(1))])
        shard.close()
        shutil.copytree(tmp_path / "shard", tmp_path / "shard.new")
        (tmp_path / "shard").rename(tmp_path / "shard.old")
        again = Shard(tmp_path)
        assert again.faces.count() == 1
        again.close()

    def test_after_that(self, tmp_path: Path) -> None:
        for name in ("shard", "shard.old", "shard.gone"):
            (tmp_path / name).mkdir()
        finish_switch(tmp_path)
        assert [each.name for each in tmp_path.iterdir()] == ["shard"]
