"""A gallery in a folder is opened as it was left, or not at all."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from scripts.bench import gallery_damages
from service.errors import GalleryDamaged, StoreUnavailable
from service.stores.edge.integrity import Opening
from service.stores.edge.ledger import NAME, Ledger
from service.stores.edge.seal import SEAL
from service.stores.edge.shard import Shard
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY, FaceChanges
from tests.support.stored_faces import CONTRACT, START, embedding, face

TRIES = 60


def filled(folder: Path, *, opening: Opening = Opening.FIRST) -> Shard:
    """An open gallery of ten faces."""
    shard = Shard(folder, opening=opening)
    shard.bind(CONTRACT, face_id_bits=31)
    shard.faces.add_many([(face(number), embedding(number)) for number in range(1, 11)])
    shard.sync()
    return shard


def crash(shard: Shard) -> None:
    """Leave the folder as SIGKILL does, but for the locks."""
    shard._shard.edge.flush()
    shard._shard.edge.close()
    shard.close_lock()
    assert shard._ledger is not None
    shard._ledger.close()


@pytest.mark.process
@pytest.mark.slow
def test_no_damage_is_served(tmp_path: Path) -> None:
    """Files missing, cut, flipped, zeroed, after a stop and after a crash: refused with a sentence, or all is right."""
    told = asyncio.run(gallery_damages._run(tmp_path, TRIES, seed=20))
    assert len(told) == TRIES + 3
    assert [each for each in told if each[1] == gallery_damages.WRONG] == []
    assert [case for case, verdict, _ in told if "undamaged" in case and verdict != gallery_damages.WHOLE] == []
    for _, verdict, words in told:
        assert verdict == gallery_damages.WHOLE or ("backup" in words or "put it back" in words)


class TestCrashes:
    """A crash between the write and its place in the ledger refuses no healthy gallery."""

    def test_announced_and_not_written(self, tmp_path: Path) -> None:
        shard = filled(tmp_path)
        assert shard._ledger is not None
        shard._ledger.announce([3, 11], durably=True)
        crash(shard)
        again = Shard(tmp_path)
        assert again.faces.count() == 10
        assert again._ledger is not None
        assert again._ledger.announced() == set()
        again.close()

    def test_written_and_not_settled(self, tmp_path: Path) -> None:
        """An added, a changed and a removed face are what they are then."""
        shard = filled(tmp_path)
        shard.faces.add_many([(face(11), embedding(11))])
        shard.faces.change(2, FaceChanges(remark="new", metadata=None, expires_at=None), gallery=DEFAULT_GALLERY)
        shard.faces.remove(3, gallery=None)
        crash(shard)
        for _ in range(2):
            again = Shard(tmp_path)
            assert again.faces.count() == 10
            assert again.faces.fetch([2], gallery=None)[2].remark == "new"
            crash(again)

    def test_a_power_cut_may_keep_a_face_that_was_never_announced(self, tmp_path: Path) -> None:
        """Only after one: a face from nowhere is otherwise one that was removed."""
        shard = filled(tmp_path)
        shard._shard._ledger = None
        shard.faces.add_many([(face(11), embedding(11))])
        crash(shard)
        with pytest.raises(GalleryDamaged, match="11"):
            Shard(tmp_path)
        database = sqlite3.connect(tmp_path / NAME)
        database.execute("UPDATE boots SET boot = 'former'")
        database.commit()
        database.close()
        again = Shard(tmp_path)
        assert again.faces.count() == 11
        again.close()

    def test_galleries_cut_off_while_they_are_written(self, tmp_path: Path) -> None:
        shard = filled(tmp_path)
        shard.create_gallery("one", START)
        assert shard._ledger is not None
        shard._ledger.announce_text("galleries.json", "the next text, which never came")
        crash(shard)
        again = Shard(tmp_path)
        assert [each.name for each in again.galleries()] == [DEFAULT_GALLERY, "one"]
        again.close()


class TestDamage:
    def test_a_face_that_is_gone_is_missed(self, tmp_path: Path) -> None:
        """Also when the process alone was killed; the sentence has its number."""
        shard = filled(tmp_path)
        shard._shard._ledger = None
        shard.faces.remove(7, gallery=None)
        crash(shard)
        for opening in (Opening.FIRST, Opening.AGAIN):
            with pytest.raises(GalleryDamaged, match=r"1 of 10 faces are missing \(7\).*backup.*check"):
                Shard(tmp_path, opening=opening)

    def test_a_removed_face_does_not_come_back(self, tmp_path: Path) -> None:
        shard = filled(tmp_path)
        assert shard._ledger is not None
        shard._ledger.settle({4: None})
        crash(shard)
        with pytest.raises(GalleryDamaged, match=r"not as they were registered \(4\)"):
            Shard(tmp_path)

    def test_a_ledger_that_is_missing_is_missed(self, tmp_path: Path) -> None:
        crash(filled(tmp_path))
        (tmp_path / NAME).unlink()
        with pytest.raises(GalleryDamaged, match=r"ledger\.sqlite is missing"):
            Shard(tmp_path)

    def test_a_list_of_galleries_that_is_missing_is_missed(self, tmp_path: Path) -> None:
        shard = filled(tmp_path)
        shard.create_gallery("one", START)
        crash(shard)
        (tmp_path / "galleries.json").unlink()
        with pytest.raises(GalleryDamaged, match=r"galleries\.json"):
            Shard(tmp_path)

    def test_a_shard_that_is_missing_is_missed(self, tmp_path: Path) -> None:
        """With the contract, too: nothing is taken for a new gallery that had faces."""
        filled(tmp_path).close()
        shutil.rmtree(tmp_path / "shard")
        with pytest.raises(GalleryDamaged, match="folder shard is missing"):
            Shard(tmp_path)
        (tmp_path / "contract.json").unlink()
        shard = Shard(tmp_path)
        with pytest.raises(GalleryDamaged, match="are missing"):
            shard.bind(CONTRACT, face_id_bits=31)

    def test_a_refusal_changes_nothing(self, tmp_path: Path) -> None:
        """Put back, the file makes the gallery whole again."""
        filled(tmp_path).close()
        (config,) = (tmp_path / "shard").glob("segments/*/segment.json")
        text = config.read_bytes()
        config.write_bytes(text[:-1])
        for _ in range(2):
            with pytest.raises(GalleryDamaged, match=r"segment\.json has .* bytes instead of"):
                Shard(tmp_path)
        config.write_bytes(text)
        again = Shard(tmp_path)
        assert again.faces.count() == 10
        again.close()

    def test_a_damaged_seal_costs_only_time(self, tmp_path: Path) -> None:
        filled(tmp_path).close()
        (tmp_path / SEAL).write_text("0\n{}")
        again = Shard(tmp_path)
        assert again.faces.count() == 10
        again.close()
        assert (tmp_path / SEAL).exists()


def test_a_copy_of_a_closed_gallery_opens(tmp_path: Path) -> None:
    """As a backup that was put back, with other times and inodes."""
    filled(tmp_path / "a").close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    again = Shard(tmp_path / "b")
    assert again.faces.count() == 10
    again.close()


def test_a_ledger_on_a_full_disk_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / NAME)
    ledger._database.execute("PRAGMA max_page_count = 8")
    with pytest.raises(StoreUnavailable, match="free some space"):
        ledger.announce(range(100_000), durably=False)
    ledger.announce([1], durably=True)
    assert ledger.announced() == {1}
    ledger.close()


async def test_a_folder_that_is_moved_away_takes_no_faces(tmp_path: Path) -> None:
    """Nobody would find them again; a probe of writing tells, before anybody registers."""
    store = EdgeStore(tmp_path / "gallery")
    await store.open()
    await store.bind(CONTRACT)
    await store.probe_write()
    (tmp_path / "gallery").rename(tmp_path / "elsewhere")
    for attempt in (store.probe_write(), store.add(face(1), embedding(1))):
        with pytest.raises(StoreUnavailable, match="deleted or moved"):
            await attempt
    (tmp_path / "elsewhere").rename(tmp_path / "gallery")
    await store.probe_write()
    await store.add(face(1), embedding(1))
    await store.close()
