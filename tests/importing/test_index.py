"""`python -m indexer index` as people run it: killed, stopped, beside a service, watching, and what it prints."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import struct
import sys
import termios
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.commands import index, optimize, stats
from indexer.importing.failures import CannotGoOn
from indexer.importing.report import ReportUnavailable
from service.errors import GalleryInUse, StoreUnavailable
from service.http.keys import CURRENT
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.edge.store import EdgeStore
from service.values import DEFAULT_GALLERY, Embedding, StoredFace
from tests.conftest import MODELS, Start
from tests.support.device import Device, variants
from tests.support.keys import CONSOLE, NOBODYS, keys_file
from tests.support.processes import ROOT, Running, kill_gallery_process, launch, until
from tests.support.signing import OTHER_SECRET, devices_file

pytestmark = pytest.mark.slow

KILLS = 10
SEED = 5


@pytest.fixture
def environ(settings: Settings, files: ModelFiles) -> dict[str, str]:
    """The settings of a process."""
    return {
        "FACE_DATA": str(settings.data),
        "FACE_MODEL_DIR": str(MODELS),
        "FACE_MODEL": files.contract.model,
        "FACE_THREADS": "1",  # so that an import lasts on any machine
    }


async def run(settings: Settings, *words: object) -> int:
    """The command in this process; its exit status."""
    parser = argparse.ArgumentParser()
    index.arguments(parser)
    return await index.run(settings, parser.parse_args([str(word) for word in words]))


def lines(settings: Settings) -> list[dict[str, Any]]:
    """Of the last report."""
    path = max((settings.data / "reports").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(settings: Settings) -> list[str]:
    return sorted(line["outcome"] for line in lines(settings))


async def faces(data: Path) -> dict[int, tuple[StoredFace, Embedding]]:
    """The gallery in FACE_DATA, by face_id."""
    store = EdgeStore(data / "gallery")
    try:
        await store.open()
        return {face.face_id: (face, embedding) async for face, embedding in store.scan_embedded()}
    finally:
        await store.close()


def fill(album: Path, photo: bytes, count: int) -> Path:
    """So many more photos that differ in their bytes."""
    (album / "many").mkdir()
    for number, each in enumerate(variants(photo, count)):
        (album / "many" / f"{number:04}.jpg").write_bytes(each)
    return album


class TestKilled:
    @pytest.mark.process
    async def test_killed_ten_times_it_ends_with_the_same_gallery(
        self, tmp_path: Path, album: Path, portraits: dict[str, bytes], environ: dict[str, str]
    ) -> None:
        """SIGKILL of all its processes at random moments; the last run is left alone, as is the one compared with."""
        fill(album, portraits["biden"], 250)
        calm = {**environ, "FACE_DATA": str(tmp_path / "calm")}
        assert await (await launch(calm, "index", str(album), module="indexer")).ended() == 0
        chance = random.Random(SEED)
        killed_at_work = 0
        for number in range(KILLS):
            report = tmp_path / "reports" / f"{number}.jsonl"
            running = await launch(environ, "index", str(album), "--report", str(report), module="indexer")
            await _begun(running, report)
            await asyncio.sleep(chance.uniform(0, 0.8))
            killed_at_work += running.process.returncode is None
            await running.kill()
        assert killed_at_work >= KILLS // 2
        assert await (await launch(environ, "index", str(album), module="indexer")).ended() == 0
        one, other = await faces(tmp_path / "calm"), await faces(Path(environ["FACE_DATA"]))
        assert len(one) == 254
        assert one.keys() == other.keys()
        for face_id, (face, embedding) in one.items():
            again, embedding_again = other[face_id]
            assert (again.remark, again.sha256, again.picture) == (face.remark, face.sha256, face.picture)
            assert np.dot(embedding, embedding_again) > 0.999

    @pytest.mark.process
    async def test_the_gallery_s_process_may_die(
        self, album: Path, portraits: dict[str, bytes], environ: dict[str, str], settings: Settings
    ) -> None:
        """It is started again, and what it hadn't answered is repeated."""
        fill(album, portraits["biden"], 250)
        report = settings.data / "reports" / "report.jsonl"
        running = await launch(environ, "index", str(album), "--report", str(report), module="indexer")
        await _begun(running, report)
        await until(lambda: "registered" in report.read_text())
        kill_gallery_process(settings.data)
        assert await running.ended() == 0, running.log
        assert outcomes(settings).count("registered") + outcomes(settings).count("already known") == 254
        assert len(await faces(settings.data)) == 254

    @pytest.mark.process
    async def test_ctrl_c_finishes_the_photos_in_flight_and_says_how_to_go_on(
        self, album: Path, portraits: dict[str, bytes], environ: dict[str, str], settings: Settings
    ) -> None:
        """What the report says is registered is in the gallery, and the same command imports the rest."""
        fill(album, portraits["biden"], 400)
        report = settings.data / "reports" / "first.jsonl"
        running = await launch(environ, "index", str(album), "--report", str(report), module="indexer")
        await _begun(running, report)
        running.signal(signal.SIGINT, group=True)
        assert await running.ended() == 130
        assert "Stopped; the same command goes on from here." in running.log
        assert "Traceback" not in running.log
        first = [line["face_id"] for line in lines(settings) if line["outcome"] == "registered"]
        assert set(first) == set(await faces(settings.data))
        assert len(first) < 404
        assert await run(settings, album) == 0
        assert outcomes(settings).count("already known") == len(first)
        assert len(await faces(settings.data)) == 404


async def _begun(running: Running, report: Path) -> None:
    """Until it has begun its report, right before the first photo."""
    await until(lambda: running.process.returncode is not None or report.exists())


class TestOutcome:
    async def test_all_is_well(self, settings: Settings, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Status 0, also for files that are no photos; the summary counts, the report names the faces."""
        (album / "notes.txt").write_text("notes")
        assert await run(settings, album, "--report", album.parent / "r.csv") == 0
        said = capsys.readouterr().out.splitlines()
        assert said == ["           4  registered", "           1  not a photo", f"Report: {album.parent / 'r.csv'}"]
        kept = await faces(settings.data)
        report = (album.parent / "r.csv").read_text()
        assert all(str(face_id) in report for face_id in kept)

    async def test_some_photos_failed(self, settings: Settings, album: Path) -> None:
        """Status 1, and again by the next run, which doesn't process them."""
        (album / "broken.jpg").write_bytes(b"broken")
        assert await run(settings, album) == 1
        assert await run(settings, album) == 1
        assert outcomes(settings) == [*["already known"] * 4, "unreadable"]

    @pytest.mark.process
    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["nowhere"], "nowhere can't be read"),
            ([".", "--watch", "--limit", "3"], "With --watch the import goes on until Ctrl-C"),
            ([".", "--service", "http://127.0.0.1:9", "--dry-run"], "With --service the service finds the faces"),
            ([".", "--service", "http://127.0.0.1:9"], "There is no service at http://127.0.0.1:9"),
            ([".", "--key-file", "key"], "--key-file goes with --service"),
            (
                [".", "--service", "http://127.0.0.1:9", "--key-file", "nowhere"],
                "--key-file nowhere can't be read",
            ),
            ([".", "--device", "importer"], "--device and --secret-file go together, and with --service"),
            (
                [".", "--service", "http://127.0.0.1:9", "--device", "importer", "--secret-file", "nowhere"],
                "--secret-file nowhere can't be read",
            ),
        ],
    )
    async def test_it_could_not_run(
        self, environ: dict[str, str], words: list[str], sentence: str, tmp_path: Path
    ) -> None:
        """Status 2, and one sentence."""
        running = await launch(environ, "index", *words, module="indexer")
        assert await running.ended() == 2
        assert sentence in running.log.splitlines()[-1]
        assert "Traceback" not in running.log

    async def test_a_report_that_can_not_be_written_stops_it_before_the_first_photo(
        self, settings: Settings, album: Path
    ) -> None:
        with pytest.raises(ReportUnavailable):
            await run(settings, album, "--report", album)
        assert await faces(settings.data) == {}

    async def test_a_rehearsal_changes_nothing(self, settings: Settings, album: Path) -> None:
        """--dry-run processes the photos and says what would become of them; no gallery is made."""
        (album / "broken.jpg").write_bytes(b"broken")
        assert await run(settings, album, "--dry-run") == 1
        assert outcomes(settings) == ["unreadable", *["would be registered"] * 4]
        assert {path.name for path in (settings.data / "gallery").iterdir()} == {"lock"}
        await run(settings, album, "--limit", 1)
        assert await run(settings, album, "--dry-run") == 1
        assert outcomes(settings) == ["already known", "unreadable", *["would be registered"] * 3]
        assert len(await faces(settings.data)) == 1

    async def test_remarks_come_from_a_csv_file(self, settings: Settings, album: Path) -> None:
        (album / "people.csv").write_text("path,remark\nbiden/1.jpg,Joe\nobama/1.jpg,Barack\n")
        assert await run(settings, album / "people.csv") == 0
        assert sorted(face.remark for face, _ in (await faces(settings.data)).values()) == ["Barack", "Joe"]

    async def test_names_in_another_encoding_are_imported_once_it_is_said(
        self, settings: Settings, album: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without it they are failures that say so; with it a second run, and a report in CSV, find all known."""
        folder = Path(os.fsdecode(os.fsencode(album) + "/张三".encode("gbk")))
        (album / "obama").rename(folder)
        assert await run(settings, album) == 1
        assert "The name of its folder isn't UTF-8; say what it is written in" in capsys.readouterr().out
        before = await faces(settings.data)
        assert await run(settings, album, "--encoding", "GBK") == 0
        after = await faces(settings.data)
        new = {face.remark for face_id, (face, _) in after.items() if face_id not in before}
        assert (new, len(after)) == ({"张三"}, 4)
        report = settings.data / "report.csv"
        assert await run(settings, album, "--encoding", "gbk", "--report", report) == 0
        assert report.read_text("utf-8", "surrogateescape").count("already known") == 4
        assert os.fsencode(folder) in report.read_bytes()
        assert (await faces(settings.data)).keys() == after.keys()

    async def test_a_gallery_that_was_deleted_is_filled_again(self, settings: Settings, album: Path) -> None:
        """Its journal goes with it."""
        await run(settings, album)
        (settings.data / "gallery").rename(settings.data / "old")
        assert await run(settings, album) == 0
        assert len(await faces(settings.data)) == 4

    async def test_an_emptied_gallery_is_filled_again(self, settings: Settings, album: Path) -> None:
        """A journal that claims faces of an empty gallery is of another one."""
        await run(settings, album)
        journal = (settings.data / "gallery" / "journal.sqlite").read_bytes()
        (settings.data / "gallery").rename(settings.data / "old")
        (settings.data / "gallery").mkdir()
        (settings.data / "gallery" / "journal.sqlite").write_bytes(journal)
        assert await run(settings, album) == 0
        assert len(await faces(settings.data)) == 4

    async def test_again_processes_all_photos(self, settings: Settings, album: Path) -> None:
        """And registers a face that was removed."""
        await run(settings, album)
        store = EdgeStore(settings.data / "gallery")
        await store.open()
        await store.remove(
            min([face.face_id async for face in store.scan(gallery=DEFAULT_GALLERY)]), gallery=DEFAULT_GALLERY
        )
        await store.close()
        await run(settings, album)
        assert len(await faces(settings.data)) == 3
        assert await run(settings, album, "--again") == 0
        assert len(await faces(settings.data)) == 4

    async def test_a_large_import_builds_the_index(
        self, settings: Settings, album: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a line before; where nothing was added there is no need to."""
        monkeypatch.setattr(index, "INDEX_FROM", 4)
        await run(settings, album)
        assert "Building the index over 4 faces" in capsys.readouterr().out
        await run(settings, album)
        assert "Building the index" not in capsys.readouterr().out


class TestBesideAService:
    async def test_a_gallery_in_use_says_how_to_import_all_the_same(
        self, start: Start, settings: Settings, album: Path
    ) -> None:
        await start(settings)
        with pytest.raises(GalleryInUse, match=r"add --service http://127\.0\.0\.1:5055 to send"):
            await run(settings, album)

    async def test_photos_go_through_the_service(self, start: Start, settings: Settings, album: Path) -> None:
        """Under the remarks of their folders, once; what the service refuses is in the report, in its words."""
        client = await start(settings)
        (album / "安 & B").mkdir()
        (album / "biden" / "1.jpg").rename(album / "安 & B" / "1.jpg")
        (album / "broken.jpg").write_bytes(b"broken")
        url = str(client.make_url("/"))
        assert await run(settings, album, "--service", url) == 1
        assert sorted(await Device(client).remarks()) == ["astronaut", "obama", "obama", "安 & B"]
        (refused,) = [line for line in lines(settings) if line["outcome"] == "refused"]
        assert refused["reason"].startswith("The image is none of JPEG")
        assert await run(settings, album, "--service", url) == 1
        assert outcomes(settings) == [*["already known"] * 4, "refused"]
        numbers = {face["face_id"] for face in await Device(client).faces()}
        assert {line["face_id"] for line in lines(settings)} - {None} == numbers

    async def test_what_the_service_knows_is_told_apart(
        self, start: Start, settings: Settings, album: Path, portraits: dict[str, bytes], tmp_path: Path
    ) -> None:
        """Also with another journal: the service itself says what is new."""
        client = await start(settings)
        await Device(client).register(portraits["biden"], "biden")
        elsewhere = replace(settings, data=tmp_path / "elsewhere")
        assert await run(elsewhere, album, "--service", client.make_url("/")) == 0
        assert outcomes(elsewhere) == ["already known", *["registered"] * 3]
        assert await run(elsewhere, album, "--service", client.make_url("/"), "--again") == 0
        assert outcomes(elsewhere) == ["already known"] * 4

    async def test_a_key_opens_the_galleries_that_it_may_use(
        self, start: Start, settings: Settings, album: Path, tmp_path: Path
    ) -> None:
        """One gallery's journal says nothing of another's; a gallery that nobody made stops the import."""
        client = await start(replace(settings, keys=keys_file(tmp_path / "keys.toml")))
        key = tmp_path / "key"
        key.write_text(f"{CONSOLE}\n")
        words = (album, "--service", client.make_url("/"), "--key-file", key)
        with pytest.raises(CannotGoOn, match="There is no gallery of this name"):
            await run(settings, *words, "--gallery", "visitors")
        await client.app[CURRENT].opened.galleries.create("visitors")
        for options in ((), ("--gallery", "visitors")):
            assert await run(settings, *words, *options) == 0
            assert outcomes(settings) == ["registered"] * 4
            assert await run(settings, *words, *options) == 0
            assert outcomes(settings) == ["already known"] * 4
        assert await run(settings, *words, "--gallery", "default") == 0
        assert outcomes(settings) == ["already known"] * 4
        for name in ("default", "visitors"):
            assert await (await client.app[CURRENT].opened.galleries.of(name)).count() == 4
        key.write_text(NOBODYS)
        with pytest.raises(CannotGoOn, match="This key is not known here"):
            await run(settings, *words, "--again")

    async def test_a_service_that_wants_signatures_gets_them(
        self, start: Start, settings: Settings, album: Path, tmp_path: Path
    ) -> None:
        """Those of the device that the command line names; without them nothing is imported."""
        devices = devices_file(tmp_path / "devices.toml")
        secret = tmp_path / "secret"
        secret.write_text(f"{OTHER_SECRET}\n")
        url = str((await start(replace(settings, devices=devices))).make_url("/"))
        with pytest.raises(CannotGoOn, match="must be signed by a device"):
            await run(settings, album, "--service", url)
        assert await run(settings, album, "--service", url, "--device", "other", "--secret-file", secret) == 0
        assert outcomes(settings) == ["registered"] * 4

    async def test_a_device_s_gallery_is_its_own(
        self, start: Start, settings: Settings, album: Path, tmp_path: Path
    ) -> None:
        """What one device has sent into its gallery, another one sends into its own."""
        text = "".join(
            f'[{name}]\nsecrets = ["{OTHER_SECRET}"]\ngallery = "{gallery}"\n'
            for name, gallery in (("lobby", "visitors"), ("door", "default"))
        )
        client = await start(replace(settings, devices=devices_file(tmp_path / "devices.toml", text)))
        await client.app[CURRENT].opened.galleries.create("visitors")
        secret = tmp_path / "secret"
        secret.write_text(OTHER_SECRET)
        words = (album, "--service", client.make_url("/"), "--secret-file", secret, "--device")
        for device, named in (("lobby", ("--gallery", "visitors")), ("lobby", ()), ("door", ())):
            assert await run(settings, *words, device, *named) == 0
            assert outcomes(settings).count("registered") == (0 if device == "lobby" and not named else 4)
        with pytest.raises(CannotGoOn, match="lobby may not use this gallery"):
            await run(settings, *words, "lobby", "--gallery", "default")

    async def test_what_is_no_service_is_said_to_be_none(self, settings: Settings, album: Path) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(StoreUnavailable, match="is not ready"):
                await run(settings, album, "--service", f"http://127.0.0.1:{port}")


class TestGallery:
    async def test_photos_go_into_the_gallery_that_is_named(self, settings: Settings, album: Path) -> None:
        """It is made where it isn't there; what one gallery has, another one has not."""
        for options in (("--gallery", "visitors"), ()):
            assert await run(settings, album, *options, "--dry-run") == 0
            assert outcomes(settings) == ["would be registered"] * 4
            assert await run(settings, album, *options) == 0
            assert outcomes(settings) == ["registered"] * 4
            assert await run(settings, album, *options) == 0
            assert outcomes(settings) == ["already known"] * 4
        kept = [face for face, _ in (await faces(settings.data)).values()]
        assert sorted(face.gallery for face in kept) == ["default"] * 4 + ["visitors"] * 4
        store = EdgeStore(settings.data / "gallery")
        try:
            await store.open()
            assert [each.name for each in await store.galleries()] == ["default", "visitors"]
            await store.remove_gallery("visitors")
        finally:
            await store.close()
        assert await run(settings, album, "--gallery", "visitors") == 0
        assert outcomes(settings) == ["registered"] * 4

    @pytest.mark.parametrize("name", ["", "Visitors", "../x", "-x", "x" * 65, "ü"])
    async def test_a_name_that_no_gallery_has_is_refused(
        self, settings: Settings, album: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            await run(settings, album, f"--gallery={name}")
        assert "must have up to 64 of a to z" in capsys.readouterr().err


class TestWatch:
    @pytest.mark.process
    async def test_what_is_added_is_imported_until_ctrl_c(
        self, environ: dict[str, str], settings: Settings, album: Path, portraits: dict[str, bytes]
    ) -> None:
        """A photo that arrives in two halves is imported once, whole, and never said to be broken."""
        running = await launch(environ, "index", str(album), "--watch", module="indexer")
        try:
            await until(lambda: _count(settings, "registered") == 4)
            slow = album / "late" / "1.jpg"
            slow.parent.mkdir()
            half = len(portraits["obama3"]) // 2
            with slow.open("wb") as file:
                file.write(portraits["obama3"][:half])
                file.flush()
                await asyncio.sleep(1)
                file.write(portraits["obama3"][half:])
            await until(lambda: _count(settings, "registered") == 5)
            running.signal(signal.SIGINT, group=True)
            assert await running.ended() == 0
        finally:
            await running.kill()
        assert outcomes(settings) == ["registered"] * 5
        assert "late" in {face.remark for face, _ in (await faces(settings.data)).values()}


def _count(settings: Settings, outcome: str) -> int:
    with suppress(OSError, ValueError):
        return outcomes(settings).count(outcome)
    return 0


class TestTerminal:
    @pytest.mark.process
    async def test_a_bar_with_rate_time_and_failures(
        self, environ: dict[str, str], album: Path, portraits: dict[str, bytes]
    ) -> None:
        """On a terminal people see how far it is; the summary comes last."""
        fill(album, portraits["biden"], 60)
        (album / "broken.jpg").write_bytes(b"broken")
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "indexer", "index", str(album)),
            env={**os.environ, **environ},
            cwd=ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = await asyncio.to_thread(_all_of, ours)
        assert await process.wait() == 1
        assert re.search(r"100%\|█+\| 65/65 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+ files/s, 1 failed\]", seen), seen
        assert re.search(r"64  registered\r?\n +1  unreadable\r?\nNot imported:\r?\n  /.+", seen)
        assert re.search(r"\r?\nReport: ", seen)


def _all_of(descriptor: int) -> str:
    """What a terminal shows until its programs have gone."""
    seen = b""
    with suppress(OSError):
        while select.select([descriptor], [], [], 60)[0] and (chunk := os.read(descriptor, 4096)):
            seen += chunk
    os.close(descriptor)
    return seen.decode()


async def test_stats_say_what_a_gallery_holds(
    settings: Settings, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing at first, which makes no gallery."""
    assert await stats.run(settings, argparse.Namespace(service=None, key_file=None, gallery=None)) == 0
    assert capsys.readouterr().out == f"There is no gallery in {settings.data} yet.\n"
    await run(settings, album)
    capsys.readouterr()
    assert await stats.run(settings, argparse.Namespace(service=None, key_file=None, gallery=None)) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (said["faces"], said["remarks"]) == ("4", "3")
    assert said["model"].startswith("casia-webface (weights ")
    assert 96 < float(said["disk"].removesuffix(" MB")) < 200  # its reserve among them


async def test_optimize_says_what_it_does(settings: Settings, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the gallery is there, and on a small one, whose searches compare all faces anyway."""
    assert await optimize.run(settings, argparse.Namespace(purge=False)) == 0
    assert capsys.readouterr().out == f"There is no gallery in {settings.data} yet.\n"
    await run(settings, album)
    capsys.readouterr()
    assert await optimize.run(settings, argparse.Namespace(purge=False)) == 0
    before, after = capsys.readouterr().out.splitlines()
    assert before == "Building the index over 4 faces; this takes less than a minute or two."
    assert after.startswith("The index isn't needed yet, for so few faces")
    assert len(await faces(settings.data)) == 4
