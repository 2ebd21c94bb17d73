"""What `face-indexer check` says of whole and of damaged galleries, and what it leaves of them."""

from __future__ import annotations

import argparse
import base64
import io
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as qdrant
from PIL import Image

from indexer.commands import check
from service.errors import GalleryDamaged, InvalidSettings
from service.settings import Settings
from service.stores.edge.shard import Shard
from service.values import DEFAULT_GALLERY
from tests.support.stored_faces import CONTRACT, embedding, face


def picture() -> str:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A closed gallery of ten faces."""
    shard = Shard(tmp_path / "gallery")
    shard.bind(CONTRACT, face_id_bits=31)
    shard.faces.add_many([(face(number, picture=picture()), embedding(number)) for number in range(1, 11)])
    shard.close()
    return Settings(data=tmp_path)


def damage(settings: Settings, operation: qdrant.UpdateOperation) -> None:
    """Change the shard behind the ledger's back; the service opens that no more."""
    folder = settings.data / "gallery"
    shard = Shard(folder)
    shard._shard.keep_ledger(None)
    shard._shard.update(operation)
    shard.close(seal=False)
    with pytest.raises(GalleryDamaged):
        Shard(folder)


async def checked(
    settings: Settings, capsys: pytest.CaptureFixture[str], *, accept: bool = False, forget_pictureless: bool = False
) -> tuple[int, str]:
    status = await check.run(settings, argparse.Namespace(accept=accept, forget_pictureless=forget_pictureless))
    return status, capsys.readouterr().out


def payload_of(field: str, value: Any) -> qdrant.UpdateOperation:
    return qdrant.UpdateOperation.set_payload([3], {field: value})


async def test_a_whole_gallery(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays closed and whole, however often it is looked at."""
    for _ in range(2):
        status, said = await checked(settings, capsys)
        assert (status, said.splitlines()) == (0, ["faces    10", "Nothing is wrong with them."])
    Shard(settings.data / "gallery").close()


async def test_no_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = await checked(Settings(data=tmp_path / "none"), capsys)
    assert status == 0
    assert "There is no gallery" in said


async def test_a_server_is_not_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidSettings, match="FACE_QDRANT_URL"):
        await checked(Settings(data=tmp_path, qdrant_url="http://127.0.0.1:1"), capsys)


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (qdrant.UpdateOperation.delete_points([3]), "missing  face 3 was registered and is gone"),
        (payload_of("remark", "somebody else"), "damaged  face 3 is not as it was registered"),
        (payload_of("picture", "no picture"), "damaged  face 3 is not as it was registered"),
        (payload_of("box", "no box"), "damaged  face 3 can't be read"),
        (
            qdrant.UpdateOperation.upsert_points([qdrant.Point(11, embedding(11).tolist(), {"remark": "x"})]),
            "damaged  face 11 can't be read",
        ),
    ],
)
async def test_damaged_faces_are_named_and_given_up(
    settings: Settings, capsys: pytest.CaptureFixture[str], operation: qdrant.UpdateOperation, line: str
) -> None:
    """Looking changes nothing; --accept leaves a gallery of the others, which opens."""
    damage(settings, operation)
    for _ in range(2):
        status, said = await checked(settings, capsys)
        assert status == 1
        assert line in said.splitlines()
        assert "backup" in said
        assert "person" not in said
    left = 10 if "11" in line else 9
    status, said = await checked(settings, capsys, accept=True)
    assert (status, f"has {left} faces" in said) == (0, True)
    shard = Shard(settings.data / "gallery")
    assert shard.faces.count(gallery=DEFAULT_GALLERY) == left
    assert shard.faces.search(embedding(4), gallery=DEFAULT_GALLERY, limit=1, people=None).neighbours[0].face_id == 4
    shard.close()
    assert (await checked(settings, capsys))[0] == 0


@pytest.fixture
def pictureless(tmp_path: Path) -> Settings:
    """A closed gallery of two faces, of which somebody has imported one without a picture that is any."""
    shard = Shard(tmp_path / "gallery")
    shard.bind(CONTRACT, face_id_bits=31)
    shard.faces.add_many([(face(1), embedding(1)), (face(2, picture=picture()), embedding(2))])
    shard.close()
    return Settings(data=tmp_path)


def faces_left(settings: Settings) -> int:
    shard = Shard(settings.data / "gallery")
    left = shard.faces.count(gallery=DEFAULT_GALLERY)
    shard.close()
    return left


async def test_faces_whose_picture_alone_is_bad_are_named_and_kept(
    pictureless: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their embedding is whole, so they are recognised as ever; --accept keeps them, too."""
    for accept in (False, True):
        status, said = await checked(pictureless, capsys, accept=accept)
        assert status == 1
        assert "picture  face 1 has a picture that can't be decoded" in said.splitlines()
        assert "face 2" not in said
        assert "damaged" not in said
        assert faces_left(pictureless) == 2


async def test_they_are_forgotten_where_that_is_asked_for(
    pictureless: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = await checked(pictureless, capsys, accept=True, forget_pictureless=True)
    assert (status, "has 1 faces" in said, faces_left(pictureless)) == (0, True, 1)
    with pytest.raises(InvalidSettings, match="give both"):
        await checked(pictureless, capsys, forget_pictureless=True)


async def test_damage_is_given_up_while_they_stay(pictureless: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    damage(pictureless, qdrant.UpdateOperation.set_payload([2], {"remark": "somebody else"}))
    assert (await checked(pictureless, capsys, accept=True))[0] == 0
    status, said = await checked(pictureless, capsys)
    assert (status, "faces    1" in said, "picture  face 1" in said) == (1, True, True)


async def test_a_file_that_is_damaged_is_named(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    (links,) = (settings.data / "gallery" / "shard").glob("segments/*/payload_storage/tracker_journal.dat")
    content = bytearray(links.read_bytes())
    content[-1] ^= 1
    links.write_bytes(content)
    status, said = await checked(settings, capsys)
    assert status == 1
    assert "tracker_journal.dat has other bytes than it had" in said
    assert (await checked(settings, capsys, accept=True))[0] == 0
    assert (await checked(settings, capsys))[0] == 0


async def test_a_gallery_that_edge_can_not_load(settings: Settings) -> None:
    (config,) = (settings.data / "gallery" / "shard").glob("segments/*/segment.json")
    config.write_text("{")
    with pytest.raises(GalleryDamaged, match="backup"):
        await check.run(settings, argparse.Namespace(accept=False, forget_pictureless=False))
