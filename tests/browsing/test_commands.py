"""`face-indexer list`, `show` and `remove`: on a gallery in a folder, through a service, and on a Qdrant server."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.browsing.stored import StoredGallery
from indexer.commands import calibrate, list_, optimize, reembed, remove, show, stats
from service.errors import GalleryInUse, InvalidSettings, StoreUnavailable, UnknownFace, UnknownGallery, UnknownPerson
from service.http.keys import CURRENT
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.stores.qdrant.store import QdrantStore
from service.values import FaceChanges
from tests.browsing.conftest import JPEG, REMARKS, Command, fill
from tests.conftest import Start
from tests.support.keys import CONSOLE, VISITORS, keys_file
from tests.support.qdrant import LOCAL_MODE_WARNINGS, local_mode
from tests.support.stored_faces import CONTRACT, START

pytestmark = pytest.mark.slow


async def run(settings: Settings, command: str, *words: object) -> int:
    """A command in this process; its exit status."""
    module = {"list": list_, "show": show, "remove": remove}[command]
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    status: int = await module.run(settings, parser.parse_args([str(word) for word in words]))
    return status


class Typed:
    """What a person at a terminal types."""

    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._line


class TestFolder:
    async def test_list_is_a_table_that_does_nothing_to_a_terminal(
        self, settings: Settings, full: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert await run(settings, "list") == 0
        assert capsys.readouterr().out.splitlines() == [
            "         face_id  registered            remark",
            "               1  2026-01-01 00:00:00   Ann",
            "               2  2026-01-01 00:00:00   张三/..",
            "               3  2026-01-01 00:00:00   Ann",
            "               4  2026-01-01 00:00:00   Zoë\\x1b[2J",
        ]

    async def test_list_of_a_remark_or_of_another_gallery_as_json(
        self, settings: Settings, full: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With all that is kept but picture and embedding."""
        assert await run(settings, "list", "--json", "--remark", "Ann", "--limit", 5) == 0
        assert [json.loads(line)["face_id"] for line in capsys.readouterr().out.splitlines()] == [1, 3]
        assert await run(settings, "list", "--json", "--gallery", "visitors") == 0
        face = json.loads(capsys.readouterr().out)
        assert (face["remark"], face["metadata"], face["gallery"]) == ("Bob", {"badge": "安"}, "visitors")
        assert face["box"] == {"left": -1.5, "top": 2.25, "right": 100.1, "bottom": 200.7}
        assert "picture" not in face

    async def test_show_tells_all_of_a_face_and_writes_its_picture(
        self, settings: Settings, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A file that is there isn't replaced."""
        assert await run(settings, "show", 5, "--gallery", "visitors", "--picture", tmp_path / "5.jpg") == 0
        told = capsys.readouterr().out
        assert 'metadata         {"badge": "安"}' in told
        assert "device_id        gate-2" in told
        assert (tmp_path / "5.jpg").read_bytes() == base64.b64decode(JPEG)
        with pytest.raises(InvalidSettings, match="is there already"):
            await run(settings, "show", 1, "--picture", tmp_path / "5.jpg")

    async def test_show_a_person(
        self, settings: Settings, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each of the faces, and the picture of the newest."""
        assert await run(settings, "show", "--remark", "Ann", "--picture", tmp_path / "ann.jpg") == 0
        told = capsys.readouterr()
        assert len(told.out.splitlines()) == 3
        assert told.err == f"The picture of face 3 is in {tmp_path / 'ann.jpg'}.\n"

    @pytest.mark.parametrize(("answer", "removed"), [("yes\n", True), ("Y\n", True), ("\n", False), ("no\n", False)])
    async def test_remove_asks_first(
        self,
        settings: Settings,
        full: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        answer: str,
        removed: bool,
    ) -> None:
        """And says whom it is about."""
        monkeypatch.setattr(sys, "stdin", Typed(answer))
        assert await run(settings, "remove", 1) == (0 if removed else 1)
        said = capsys.readouterr()
        assert f"Face 1 of Ann, registered 2026-01-01T00:00:00.000001Z, in the gallery default in {full}" in said.out
        assert ("Nothing was removed." in said.err) is not removed
        assert await run(settings, "list", "--remark", "Ann", "--json") == 0
        assert len(capsys.readouterr().out.splitlines()) == (1 if removed else 2)

    async def test_remove_a_person(
        self, settings: Settings, full: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", Typed("yes\n"))
        assert await run(settings, "remove", "--remark", "Ann") == 0
        said = capsys.readouterr().out
        assert "All 2 faces of Ann in the gallery default" in said
        assert "Removed 2 faces of Ann" in said

    async def test_remove_those_of_a_device_and_all(
        self, settings: Settings, full: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In one gallery, which stays; once more, nothing is left to remove."""
        monkeypatch.setattr(sys, "stdin", Typed("yes\n"))
        assert await run(settings, "remove", "--device", "gate-1") == 0
        said = capsys.readouterr().out
        assert "All faces that gate-1 registered in the gallery default" in said
        assert "Removed 1 faces that gate-1 registered" in said
        assert await run(settings, "remove", "--all", "--yes") == 0
        assert "Removed 3 faces from the gallery default" in capsys.readouterr().out
        assert await run(settings, "remove", "--all", "--yes") == 0
        assert "Removed 0 faces" in capsys.readouterr().out
        assert await run(settings, "list", "--gallery", "visitors", "--json") == 0
        assert len(capsys.readouterr().out.splitlines()) == 1

    @pytest.mark.parametrize(
        "words", [(), ("--all", "7"), ("--all", "--device", "x"), ("--device", "x", "--remark", "y")]
    )
    async def test_one_way_to_say_which_faces(self, settings: Settings, words: tuple[str, ...]) -> None:
        with pytest.raises(SystemExit):
            await run(settings, "remove", "--yes", *words)

    async def test_who_is_not_there_can_not_be_shown_or_removed(self, settings: Settings, full: Path) -> None:
        """Also one of another gallery."""
        for number in (5, 99):
            with pytest.raises(UnknownFace, match="`face-indexer list` shows"):
                await run(settings, "show", number)
            with pytest.raises(UnknownFace):
                await run(settings, "remove", "--yes", number)
        for command in (("show",), ("remove", "--yes")):
            with pytest.raises(UnknownPerson):
                await run(settings, *command, "--remark", "Bob")
        with pytest.raises(UnknownGallery, match="no gallery staff, only default, visitors"):
            await run(settings, "list", "--gallery", "staff")

    def test_as_processes(self, command: Command, full: Path) -> None:
        """Nothing is removed where nobody can confirm it; a wrong number is told in a sentence."""
        refused = command("remove", "1")
        assert (refused.returncode, "add --yes" in refused.stderr) == (2, True)
        assert command("list", "--json").stdout.count("\n") == 4
        for word in ("0", "-1", "9007199254740992", "1" * 5000, "٣", "Ann"):
            wrong = command("show", "--", word)
            assert (wrong.returncode, "must be the number of a face" in wrong.stderr) == (2, True)
        done = command("remove", "--yes", "1")
        assert (done.returncode, done.stdout) == (0, f"Removed face 1 of Ann from the gallery default in {full}.\n")

    async def test_a_folder_without_a_gallery_stays_as_it_is(self, settings: Settings) -> None:
        """Whichever command looks for one."""
        for command in ("list", "show 1", "remove --yes 1"):
            with pytest.raises(StoreUnavailable, match="There is no gallery there yet"):
                await run(settings, *command.split())
        for module, refused in ((calibrate, True), (reembed, True), (stats, False), (optimize, False)):
            parser = argparse.ArgumentParser()
            module.arguments(parser)
            if refused:
                with pytest.raises(StoreUnavailable, match="There is no gallery there yet"):
                    await module.run(settings, parser.parse_args([]))
            else:
                assert await module.run(settings, parser.parse_args([])) == 0
        assert not (settings.data / "gallery").exists()


@pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)
async def test_a_gallery_on_a_qdrant_server_is_told_of_likewise() -> None:
    """By the same numbers and words, a person at a time too; none of another gallery."""
    async with local_mode() as (connect, name):
        store = QdrantStore(connect, name)
        await store.open()
        await store.bind(CONTRACT)
        await fill(store)
        gallery = StoredGallery(store, "default", place="the server")
        assert [face["remark"] async for face in gallery.list(None)] == list(REMARKS.values())
        assert (await gallery.face(2))["picture"] == JPEG
        assert await gallery.count("Ann") == 2
        await gallery.remove_face(1)
        assert await gallery.remove_person("Ann") == 1
        assert [face["face_id"] async for face in gallery.list(None)] == [2, 4]
        with pytest.raises(UnknownFace):
            await gallery.remove_face(5)
        await store.close()


async def test_a_face_whose_time_is_up_is_not_told_of(full: Path) -> None:
    store = EdgeStore(full / "gallery")
    await store.open()
    await store.change(1, FaceChanges(remark="Ann", metadata=None, expires_at=START), gallery="default")
    gallery = StoredGallery(store, "default", place="here")
    assert [face["face_id"] async for face in gallery.list("Ann")] == [3]
    with pytest.raises(UnknownFace):
        await gallery.face(1)
    await store.close()


class TestService:
    async def test_the_service_is_asked_that_has_the_gallery_open(
        self, start: Start, settings: Settings, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The folder's one owner is named, and how to go on. Remarks that paths can't hold are no matter."""
        settings = replace(settings, keys=keys_file(tmp_path / "keys.toml"))
        service = await start(settings)
        with pytest.raises(GalleryInUse, match="most likely the service; add --service http://127"):
            await run(settings, "list")
        (tmp_path / "key").write_text(f"{CONSOLE}\n")
        place = ("--service", service.make_url("/"), "--key-file", tmp_path / "key")
        assert await run(settings, "list", *place) == 0
        assert "               2  2026-01-01 00:00:00   张三/.." in capsys.readouterr().out
        assert await run(settings, "show", 5, "--gallery", "visitors", "--picture", tmp_path / "5.jpg", *place) == 0
        assert 'metadata         {"badge": "安"}' in capsys.readouterr().out
        assert (tmp_path / "5.jpg").read_bytes() == base64.b64decode(JPEG)
        assert await run(settings, "remove", "--yes", "--remark", "张三/..", *place) == 0
        assert await run(settings, "remove", "--yes", 1, *place) == 0
        assert "Removed face 1 of Ann from the gallery of the service at" in capsys.readouterr().out
        with pytest.raises(UnknownFace, match="says: "):
            await run(settings, "remove", "--yes", 1, *place)
        assert await run(settings, "remove", "--yes", "--all", "--gallery", "visitors", *place) == 0
        galleries = service.app[CURRENT].opened.galleries
        left, _ = await (await galleries.of("visitors")).page(10, after=None, remark=None)
        assert left == []
        left, _ = await (await galleries.of("default")).page(10, after=None, remark=None)
        assert [face.face_id for face in left] == [3, 4]
        assert await run(settings, "remove", "--yes", "--device", "gate-0", *place) == 0
        assert await run(settings, "remove", "--yes", "--all", *place) == 0
        assert "Removed 1 faces from the gallery of the service" in capsys.readouterr().out

    async def test_pages_are_put_together(
        self,
        start: Start,
        settings: Settings,
        full: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("indexer.browsing.served.PAGE", 1)
        service = await start(settings)
        assert await run(settings, "list", "--json", "--service", service.make_url("/")) == 0
        assert [json.loads(line)["face_id"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3, 4]

    async def test_a_key_for_another_gallery_opens_none_but_that(
        self, start: Start, settings: Settings, full: Path, tmp_path: Path
    ) -> None:
        settings = replace(settings, keys=keys_file(tmp_path / "keys.toml"))
        service = await start(settings)
        (tmp_path / "key").write_text(f"{VISITORS}\n")
        place = ("--service", service.make_url("/"), "--key-file", tmp_path / "key")
        assert await run(settings, "list", *place, "--gallery", "visitors") == 0
        with pytest.raises(Exception, match="may not use this gallery"):
            await run(settings, "list", *place, "--gallery", "default")

    async def test_a_key_without_a_service_is_refused(self, settings: Settings, tmp_path: Path) -> None:
        with pytest.raises(InvalidSettings, match="--key-file goes with --service"):
            await run(settings, "list", "--key-file", tmp_path / "key")
