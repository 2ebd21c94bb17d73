"""A gallery made anew beside itself: nothing of removed faces is left, nothing else changes, whenever it is cut off."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from service.stores.edge.compaction import require_room
from service.stores.edge.erasure import NAME, ErasureFile
from service.stores.edge.shard import NO_UPKEEP, Shard
from service.stores.edge.store import EdgeStore
from service.stores.edge.upkeep import UpkeepRules
from service.values import DEFAULT_GALLERY, FaceChanges, StoredFace
from tests.stores.edge.test_integrity import crash
from tests.support.stored_faces import CONTRACT, embedding, face

FACES = 150
GONE = range(1, FACES + 1, 3)
PAGE = 4096
MANY = 6000


def secret(number: int) -> StoredFace:
    """A face whose picture and remark are found wherever they are on disk."""
    picture = base64.b64encode(np.random.default_rng(number).bytes(300)).decode()
    return face(number, picture=picture, remark=f"Zoë nr. {number:06}!")


def traces(folder: Path, numbers: Iterable[int]) -> set[str]:
    """The files in which something of some faces stands: the picture, the remark, the embedding."""
    wanted = {
        trace
        for number in numbers
        for trace in (
            secret(number).picture.encode(),
            base64.b64decode(secret(number).picture),
            secret(number).remark.encode(),
            embedding(number).tobytes(),
        )
    }
    return {name for name, content in contents(folder).items() if any(trace in content for trace in wanted)}


def contents(folder: Path) -> dict[str, bytes]:
    """What stands in each file, but for pages of zeros, of which Edge's files have a hundred megabytes."""
    found = {}
    for each in (Path(inner, name) for inner, _, names in os.walk(folder) for name in names):
        try:
            read = each.read_bytes()
        except FileNotFoundError:  # a service goes on beside this
            continue
        pages = np.frombuffer(read + bytes(-len(read) % PAGE), np.uint8).reshape(-1, PAGE)
        found[str(each.relative_to(folder))] = pages[pages.any(axis=1)].tobytes()
    return found


def filled(folder: Path, rules: UpkeepRules = NO_UPKEEP) -> Shard:
    shard = Shard(folder, rules=rules)
    shard.bind(CONTRACT, face_id_bits=31)
    shard.faces.add_many([(secret(number), embedding(number)) for number in range(1, FACES + 1)])
    shard.sync()
    return shard


def remove(shard: Shard, numbers: Iterable[int]) -> None:
    for number in numbers:
        assert shard.faces.remove(number, gallery=None)
    shard.sync()


def present(shard: Shard) -> set[int]:
    return {number for _, number, _ in shard.faces.page_keys(after=0, limit=10_000)}


class TestErasure:
    def test_nothing_of_removed_faces_is_left_in_any_file(self, tmp_path: Path) -> None:
        """Neither of a remark that was changed; what is left is as it was, and so it is when it is opened again."""
        shard = filled(tmp_path)
        remove(shard, GONE)
        changes = FaceChanges(remark="other", metadata=None, expires_at=None)
        assert shard.faces.change(2, changes, gallery=DEFAULT_GALLERY)
        shard.sync()
        shard.flush()
        former = secret(2).remark.encode()
        assert traces(tmp_path, GONE)
        assert any(former in content for content in contents(tmp_path).values())
        shard.purge()
        for _ in range(2):
            assert traces(tmp_path, GONE) == set()
            assert not any(former in content for content in contents(tmp_path).values())
            assert present(shard) == set(range(1, FACES + 1)) - set(GONE)
            assert shard.faces.fetch([3], gallery=None)[3] == secret(3)
            assert shard.faces.embeddings([3], gallery=None)[3].tobytes() == embedding(3).tobytes()
            assert shard.upkeep.erasure.state.pending_since is None
            shard.close()
            shard = Shard(tmp_path)
        shard.close()

    def test_it_happens_by_itself(self, tmp_path: Path) -> None:
        """Within the time that was given, while requests are answered; a restart doesn't begin the time anew."""
        shard = filled(tmp_path)
        remove(shard, GONE)
        since = shard.upkeep.erasure.state.pending_since
        shard.close()
        again = Shard(tmp_path, rules=UpkeepRules(purge_s=1))
        assert again.upkeep.erasure.state.pending_since == since
        deadline = time.monotonic() + 30
        while again.upkeep.erasure.state.pending_since is not None:
            assert time.monotonic() < deadline
            again.upkeep.step()
            assert again.faces.count() == FACES - len(GONE)
            time.sleep(0.005)
        assert traces(tmp_path, GONE) == set()
        again.close()

    def test_what_is_removed_meanwhile_waits_for_the_next_time(self, tmp_path: Path) -> None:
        """Its copy may have been made already: the gallery doesn't claim that it is gone."""
        shard = filled(tmp_path, UpkeepRules(purge_s=3600))
        remove(shard, [1])
        shard.upkeep._begin()
        renewal = shard.upkeep.renewal
        assert renewal is not None
        while renewal._after < 64:
            shard.upkeep.step()
        before = time.time()
        remove(shard, [2])
        while shard.upkeep.renewal is not None:
            shard.upkeep.step()
        since = shard.upkeep.erasure.state.pending_since
        assert since is not None
        assert since >= before
        assert traces(tmp_path, [1]) == set()
        shard.purge()
        assert traces(tmp_path, [1, 2]) == set()
        shard.close()


class TestRecord:
    def test_of_a_new_gallery_nothing_is_to_be_erased(self, tmp_path: Path) -> None:
        shard = filled(tmp_path)
        assert shard.upkeep.erasure.state.pending_since is None
        shard.close()

    @pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"pending_since": "x", "erased_at": null}'])
    def test_of_a_gallery_without_a_record_everything_is(self, tmp_path: Path, text: str | None) -> None:
        """An older version's, or one whose record is damaged: what it has removed may all be there."""
        if text is not None:
            (tmp_path / NAME).write_text(text)
        record = ErasureFile(tmp_path, lambda: 5.0)
        assert record.pending_s() == 0.0
        assert ErasureFile(tmp_path, lambda: 8.0).pending_s() == 3.0

    def test_a_clock_that_is_put_back_begins_the_time_anew(self, tmp_path: Path) -> None:
        ErasureFile(tmp_path, lambda: 1000.0).note()
        late = ErasureFile(tmp_path, lambda: 10.0)
        assert late.pending_s() == 0.0
        assert late.state.pending_since == 10.0


def test_changes_meanwhile_are_all_in_the_new_shard(tmp_path: Path) -> None:
    """At every stage: added, changed and removed faces, of the part that is copied already and of the other."""
    shard = filled(tmp_path)
    shard.upkeep._begin()
    wanted = set(range(1, FACES + 1))
    number = changed = FACES
    steps = 0
    while shard.upkeep.renewal is not None:
        shard.upkeep.step()
        steps += 1
        if steps % 3 or number >= 400:
            time.sleep(0.002)
            continue
        number += 1
        shard.faces.add_many([(secret(number), embedding(number))])
        gone = min(wanted)
        shard.faces.remove(gone, gallery=None)
        changed = max(wanted)
        changes = FaceChanges(remark=f"changed {changed}", metadata=None, expires_at=None)
        shard.faces.change(changed, changes, gallery=DEFAULT_GALLERY)
        shard.sync()
        wanted = wanted - {gone} | {number}
    assert number > FACES + 3
    assert present(shard) == wanted
    crash(shard)
    again = Shard(tmp_path)  # which compares every face with the ledger
    assert present(again) == wanted
    assert again.faces.fetch([changed], gallery=None)[changed].remark == f"changed {changed}"
    again.close()


@pytest.mark.parametrize("part", [0.0, 0.6])
def test_a_process_killed_meanwhile_leaves_the_gallery_whole(tmp_path: Path, part: float) -> None:
    """The one that makes the new shard: the gallery goes on, nothing is left of the draft, and it is tried again."""
    shard = filled(tmp_path, UpkeepRules(purge_s=3600))
    remove(shard, GONE)
    shard.upkeep._begin()
    renewal = shard.upkeep.renewal
    assert renewal is not None
    while renewal._after < part * FACES:
        shard.upkeep.step()
    os.kill(renewal.pid, signal.SIGKILL)
    while shard.upkeep.renewal is not None:
        shard.upkeep.step()
    assert not (tmp_path / "shard.new").exists()
    assert shard.faces.count() == FACES - len(GONE)
    assert shard.upkeep.erasure.state.pending_since is not None
    shard.purge()
    assert traces(tmp_path, GONE) == set()
    shard.close()


def test_a_full_disk_puts_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for a copy nothing is begun, and the service goes on."""
    monkeypatch.setattr("service.stores.edge.compaction.EMPTY_SHARD_BYTES", 2**60)
    shard = filled(tmp_path, UpkeepRules(purge_s=1))
    remove(shard, [1])
    time.sleep(0.6)
    shard.upkeep.step()
    assert shard.upkeep.renewal is None
    assert shard.faces.count() == FACES - 1
    assert shard.upkeep.pause_s > 0.5
    shard.close()


def test_nothing_is_begun_where_the_index_would_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is built the new shard's faces are there twice: a copy that fits alone would be made in vain."""
    shard = filled(tmp_path, UpkeepRules(purge_s=1))
    remove(shard, [1])
    most = shutil.disk_usage(tmp_path).free * 2 // 3 // (FACES - 1)
    monkeypatch.setattr("service.stores.edge.compaction._FACE_BYTES", most)
    require_room(shard._shard.edge, tmp_path)
    time.sleep(0.6)
    shard.upkeep.step()
    assert shard.upkeep.renewal is None
    shard.close()


def test_a_gallery_without_faces_is_erased_too(tmp_path: Path) -> None:
    shard = filled(tmp_path)
    remove(shard, range(1, FACES + 1))
    shard.purge()
    assert traces(tmp_path, range(1, FACES + 1)) == set()
    assert shard.faces.count() == 0
    shard.close()


@pytest.mark.slow
def test_an_index_is_built_when_many_faces_have_none(tmp_path: Path) -> None:
    """Searches go on meanwhile; faces that come later are too few for another one, and a crash then harms no index."""
    shard = Shard(tmp_path, rules=UpkeepRules(index_from=MANY))
    shard.bind(CONTRACT, face_id_bits=31)
    vectors = np.random.default_rng(0).standard_normal((MANY, 512)).astype(np.float32)
    for begin in range(0, MANY, 500):
        batch = range(begin, begin + 500)
        shard.faces.add_many([(face(each + 1), vectors[each] / np.linalg.norm(vectors[each])) for each in batch])
    shard.sync()
    assert shard.faces.figures().indexed == 0
    longest, steps = 0.0, 0
    shard.upkeep.step()
    while shard.upkeep.renewal is not None:
        shard.upkeep.step()
        time.sleep(shard.upkeep.pause_s)
        if (steps := steps + 1) % 10:
            continue
        began = time.monotonic()
        found = shard.faces.search(vectors[7], limit=1, people=None, gallery=DEFAULT_GALLERY).neighbours
        longest = max(longest, time.monotonic() - began)
        assert found[0].face_id == 8
    assert shard.faces.figures().indexed == MANY
    assert longest < 1
    shard.faces.add_many([(face(MANY + 1), embedding(1)), (face(MANY + 2), embedding(2))])
    assert shard.faces.remove(3, gallery=None)
    changes = FaceChanges(remark="changed", metadata=None, expires_at=None)
    assert shard.faces.change(5, changes, gallery=DEFAULT_GALLERY)
    shard.sync()
    assert not shard.upkeep._is_due()
    crash(shard)
    again = Shard(tmp_path)  # which compares every index on disk with the faces
    assert again.faces.count() == MANY + 1
    again.close()


@pytest.mark.process
async def test_a_kill_at_any_moment_loses_nothing_and_brings_nothing_back(tmp_path: Path) -> None:
    """The gallery's process and its builder, while faces come and go: what was answered holds, and is erased later."""
    folder = tmp_path / "gallery"
    store = EdgeStore(folder, purge_s=1, request_limit_s=20)
    await store.open()
    await store.bind(CONTRACT)
    await store.add_many([(secret(number), embedding(number)) for number in range(1, FACES + 1)])
    there, gone, number = set(range(1, FACES + 1)), set[int](), FACES
    for pause_s in (0.5, 0.8, 1.1):
        until = time.monotonic() + pause_s
        while time.monotonic() < until:
            number += 1
            await store.add(secret(number), embedding(number))
            there.add(number)
            away = min(there)
            assert await store.remove(away, gallery=None)
            there.remove(away)
            gone.add(away)
            await asyncio.sleep(0.02)
        await store.kill()
        store = EdgeStore(folder, purge_s=1, request_limit_s=20)
        await store.open()
        await store.bind(CONTRACT)
        assert {key[1] async for key in store.scan_keys()} == there
    deadline = time.monotonic() + 30
    while traces(folder, gone):
        assert time.monotonic() < deadline
        assert (await store.search(embedding(number), 1, gallery=DEFAULT_GALLERY)).neighbours[0].face_id == number
        await asyncio.sleep(0.2)
    await store.close()
    assert sorted(each.name for each in folder.glob("shard*")) == ["shard"]
