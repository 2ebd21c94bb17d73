"""Who may open the embedded gallery's folder, what may be wrong with it, and how another takes its place."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import GalleryInUse, StoreUnavailable
from service.stores.edge.folder import replace_gallery
from service.stores.edge.shard import Shard
from service.stores.edge.store import EdgeStore
from tests.support.stored_faces import CONTRACT, START, embedding, face, fill


@pytest.mark.slow
async def test_only_one_owner(edge: EdgeStore, folder: Path) -> None:
    """A second service on the same folder is told so, in a sentence with the folder's name."""
    second = EdgeStore(folder)
    with pytest.raises(GalleryInUse) as refusal:
        await second.open()
    assert str(folder) in str(refusal.value)
    await second.close()
    await fill(edge, [face(1)])


@pytest.mark.slow
async def test_two_at_once_on_a_new_folder_never_both_win(folder: Path) -> None:
    """The lock holds from the opening on, before there is anything to own."""
    stores = [EdgeStore(folder), EdgeStore(folder)]
    outcomes = await asyncio.gather(*(store.open() for store in stores), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["GalleryInUse", "NoneType"]
    for store in stores:
        await store.close()


async def test_a_shard_without_its_contract_is_left_alone(edge: EdgeStore, folder: Path) -> None:
    """Faces of an unknown model are neither searched nor thrown away."""
    await edge.close()
    (folder / "contract.json").unlink()
    with pytest.raises(StoreUnavailable, match=r"contract\.json is missing"):
        await EdgeStore(folder).open()
    assert (folder / "shard").exists()


async def test_a_path_that_is_no_folder_is_said_to_be() -> None:
    """A mistyped FACE_DATA is a sentence, not a traceback."""
    with pytest.raises(StoreUnavailable, match="test_folder"):
        await EdgeStore(Path(__file__)).open()


@pytest.mark.parametrize("renames", range(4))
def test_a_replacement_that_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int) -> None:
    """After any number of its renames, what opens next is the old gallery or the new one, never an empty one."""
    other = replace(CONTRACT, model="new")
    for name, contract in (("gallery", CONTRACT), ("gallery.new", other)):
        shard = Shard(tmp_path / name)
        shard.bind(contract, face_id_bits=53)
        shard.close()
    rename = Path.rename
    done: list[Path] = []

    def cut_off(path: Path, target: Path) -> Path:
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", cut_off)
    try:
        replace_gallery(tmp_path / "gallery", tmp_path / "gallery.new")
    except KeyboardInterrupt:
        assert len(done) == renames < 3
    monkeypatch.undo()
    shard = Shard(tmp_path / "gallery")
    assert shard.contract == (CONTRACT if renames < 2 else other)
    assert shard.faces.count() == 0
    shard.close()


@pytest.mark.parametrize("damage", ["", "[", "[1]", '"x"', "{}", '{"model": 1}', "WITH face_id_bits", "WITH fields"])
async def test_a_contract_that_cannot_be_read_is_said_to_be(edge: EdgeStore, folder: Path, damage: str) -> None:
    """In one sentence, whatever is the matter with it; nothing is guessed."""
    await edge.close()
    path = folder / "contract.json"
    if damage.startswith("WITH "):
        path.write_text(json.dumps({**json.loads(path.read_text()), damage[5:]: "many"}))
    else:
        path.write_text(damage)
    with pytest.raises(StoreUnavailable, match=r"contract\.json can't be read"):
        await EdgeStore(folder).open()


@pytest.mark.parametrize("damage", ["", "[]", '{"staff": 1}', '{"staff": "yesterday"}'])
async def test_a_list_of_galleries_that_cannot_be_read_is_said_to_be(
    edge: EdgeStore, folder: Path, damage: str
) -> None:
    """Rather than hiding the faces in them."""
    await edge.create_gallery("staff", START)
    await edge.close()
    (folder / "galleries.json").write_text(damage)
    with pytest.raises(StoreUnavailable, match=r"galleries\.json can't be read"):
        await EdgeStore(folder).open()


def test_a_gallery_whose_removal_was_cut_off_is_empty_and_still_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its faces and its name, it can be removed again, and no face comes back."""
    shard = Shard(folder)
    shard.bind(CONTRACT, face_id_bits=31)
    shard.create_gallery("staff", START)
    shard.faces.add_many([(face(1, gallery="staff"), embedding(1)), (face(2), embedding(2))])
    with monkeypatch.context() as patch:
        patch.setattr("service.stores.edge.shard.write_galleries", cut_off_at_once)
        with pytest.raises(KeyboardInterrupt):
            shard.remove_gallery("staff")
    shard.close()
    later = Shard(folder)
    assert [each.name for each in later.galleries()] == ["default", "staff"]
    assert (later.faces.count(gallery="staff"), later.faces.count()) == (0, 1)
    assert later.remove_gallery("staff")
    later.close()


def cut_off_at_once(*_: object) -> None:
    raise KeyboardInterrupt
