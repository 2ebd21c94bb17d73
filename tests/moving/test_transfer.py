"""Moving a gallery: what is exported comes back whole, on whatever store, after whatever interruption."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest

from indexer.__main__ import main
from indexer.commands import export as export_command
from indexer.commands import import_ as import_command
from indexer.moving.archive_reader import ArchiveReader
from indexer.moving.archive_writer import ArchiveWriter
from indexer.moving.compression import codec_of
from service.errors import ContractMismatch, GalleryInUse, StoreUnavailable, UnusableArchive
from service.moving.archive import Header
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, Embedding, ModelContract, StoredFace
from tests.support.processes import ROOT, launch, until
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, embedding, face

HERE: dict[str, None] = {"service": None, "key_file": None, "gallery": None}
"""The options of a command that works on the gallery of the settings."""

SUFFIXES = [".jsonl", ".jsonl.gz", ".jsonl.zst"]

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

Faces = list[tuple[StoredFace, Embedding]]
Change = Literal["altered", "missing", "twice", "more"]


def gallery_in(folder: Path) -> Settings:
    return Settings(data=folder)


@asynccontextmanager
async def opened(settings: Settings, contract: ModelContract = CONTRACT) -> AsyncIterator[Store]:
    store = open_store(settings)
    try:
        await store.open()
        await store.bind(contract)
        yield store
    finally:
        await store.close()


async def fill(settings: Settings, faces: list[StoredFace]) -> None:
    async with opened(settings) as store:
        for few in (faces[start : start + 256] for start in range(0, len(faces), 256)):
            await store.add_many([(each, embedding(each.face_id)) for each in few])


async def contents(settings: Settings) -> Faces:
    async with opened(settings) as store:
        found = [each async for each in store.scan_embedded()]
        assert await store.count() == len(found)
    return found


def same(one: Faces, other: Faces) -> bool:
    """Equal numbers and payloads, and vectors to 1e-6."""
    assert [each for each, _ in one] == [each for each, _ in other]
    return bool(np.allclose([each for _, each in one], [each for _, each in other], rtol=0, atol=1e-6))


async def export(settings: Settings, file: Path) -> int:
    return await export_command.run(settings, Namespace(file=file, **HERE))


async def bring_in(settings: Settings, file: Path) -> int:
    return await import_command.run(settings, Namespace(file=file, **HERE))


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def lines_of(file: Path) -> list[bytes]:
    with codec_of(file).open(file) as stream:
        return stream.readlines()


@pytest.fixture
async def on_server() -> AsyncIterator[Settings]:
    """Settings for a gallery on a Qdrant server without one yet."""
    server = Qdrant()
    await server.start()
    yield Settings(qdrant_url=server.url, qdrant_grpc_port=server.port)
    await server.stop()


@pytest.fixture
async def few(tmp_path: Path) -> Settings:
    """A gallery of ten faces."""
    settings = gallery_in(tmp_path / "few")
    await fill(settings, [face(number) for number in range(1, 11)])
    return settings


def every_remark() -> list[str]:
    """Texts that hold every character of Unicode, and those that are most easily lost."""
    runs = (range(start, start + 2048) for start in range(0, 0x110000, 2048) if start != 0xD800)
    odd = ("", " ", "\n", "\r\n", "\0", "\\", '"', "\u2028", "\ufeff", '{"end"', "e\u0301", "é")
    return [*("".join(map(chr, run)) for run in runs), *odd]


class TestRoundTrip:
    """From Edge to a server and back, through files."""

    @pytest.mark.slow
    async def test_loses_nothing(self, tmp_path: Path, on_server: Settings) -> None:
        """Counts, numbers and payloads equal, vectors to 1e-6, with every remark that Unicode allows."""
        here, there = gallery_in(tmp_path / "here"), gallery_in(tmp_path / "there")
        await fill(here, [face(n * n, remark=text) for n, text in enumerate(every_remark(), 1)])
        before = await contents(here)
        assert await export(here, tmp_path / "one.jsonl.zst") == 0
        assert await bring_in(on_server, tmp_path / "one.jsonl.zst") == 0
        assert same(await contents(on_server), before)
        assert await export(on_server, tmp_path / "two.jsonl.gz") == 0
        assert await bring_in(there, tmp_path / "two.jsonl.gz") == 0
        assert len(before) > 500
        assert same(await contents(there), before)

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", SUFFIXES)
    async def test_every_kind_of_file(self, tmp_path: Path, few: Settings, suffix: str) -> None:
        """Compressed or not, the file holds the same lines, and nobody else may read it."""
        file = tmp_path / f"faces{suffix}"
        assert await export(few, file) == 0
        lines = lines_of(file)
        assert json.loads(lines[0])["contract"]["model"] == CONTRACT.model
        assert [json.loads(line)["face_id"] for line in lines[1:-1]] == list(range(1, 11))
        assert json.loads(lines[-1])["end"]["count"] == 10
        assert file.stat().st_mode & 0o777 == 0o600
        assert not size(tmp_path / f"faces{suffix}.part")
        assert await bring_in(gallery_in(tmp_path / "new"), file) == 0
        assert same(await contents(gallery_in(tmp_path / "new")), await contents(few))

    @pytest.mark.slow
    async def test_an_empty_gallery(self, tmp_path: Path) -> None:
        """Nothing but its model moves."""
        await fill(gallery_in(tmp_path / "empty"), [])
        await export(gallery_in(tmp_path / "empty"), tmp_path / "faces.jsonl")
        assert await bring_in(gallery_in(tmp_path / "new"), tmp_path / "faces.jsonl") == 0
        assert await contents(gallery_in(tmp_path / "new")) == []

    @pytest.mark.slow
    async def test_the_model_is_not_needed(self, tmp_path: Path, few: Settings) -> None:
        """The new gallery gets the file's contract, whatever FACE_MODEL says."""
        await export(few, tmp_path / "faces.jsonl")
        settings = replace(few, data=tmp_path / "new", model="casia-webface", model_dir=tmp_path / "none")
        assert await bring_in(settings, tmp_path / "faces.jsonl") == 0
        store = open_store(settings)
        assert await store.open() == CONTRACT
        await store.close()

    @pytest.mark.slow
    async def test_again_adds_nothing(
        self, tmp_path: Path, few: Settings, on_server: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Faces that are there stay as they are, on either kind of store, and are counted as such."""
        await export(few, tmp_path / "faces.jsonl")
        for settings in (few, on_server, on_server):
            assert await bring_in(settings, tmp_path / "faces.jsonl") == 0
        said = capsys.readouterr().err
        assert said.count("0 faces imported, 10 were there already.") == 2
        assert said.count("10 faces imported, 0 were there already.") == 1
        assert same(await contents(on_server), await contents(few))

    @pytest.mark.slow
    async def test_a_number_that_is_taken(
        self, tmp_path: Path, few: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The gallery's own face stays, the others come, and the exit status says that one failed."""
        await export(few, tmp_path / "faces.jsonl")
        other = gallery_in(tmp_path / "other")
        await fill(other, [face(3, remark="somebody else")])
        assert await bring_in(other, tmp_path / "faces.jsonl") == 1
        assert "1 not imported" in capsys.readouterr().err
        found = [each for each, _ in await contents(other)]
        assert [each.face_id for each in found] == list(range(1, 11))
        assert found[2].remark == "somebody else"


class TestKilled:
    """SIGKILL, and the same command again."""

    @pytest.mark.process
    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", SUFFIXES)
    async def test_export(self, tmp_path: Path, suffix: str) -> None:
        """However often it is killed, the file becomes the one of an undisturbed export, to the byte when unpacked."""
        settings = gallery_in(tmp_path / "many")
        await fill(settings, [face(n, picture="p" * 4000 + str(n)) for n in range(1, 2001)])
        await export(settings, tmp_path / f"undisturbed{suffix}")
        file = tmp_path / f"faces{suffix}"
        part = file.with_name(file.name + ".part")
        sizes = [0]
        for _ in range(3):
            running = await launch({"FACE_DATA": str(settings.data)}, "export", str(file), module="indexer")
            await until(lambda: size(part) > sizes[-1])
            await running.kill()
            assert not file.exists()
            sizes.append(size(part))
        assert sizes == sorted(sizes)
        part.write_bytes(part.read_bytes() + b"cut")  # in the middle of a block
        assert await export(settings, file) == 0
        assert lines_of(file) == lines_of(tmp_path / f"undisturbed{suffix}")

    @pytest.mark.process
    @pytest.mark.slow
    @pytest.mark.parametrize("group", [True, False])
    async def test_import(self, tmp_path: Path, group: bool) -> None:
        """However often it is killed, alone or with the gallery's process, the gallery ends up whole."""
        settings, new = gallery_in(tmp_path / "many"), gallery_in(tmp_path / "new")
        await fill(settings, [face(n, picture="p" * 4000) for n in range(1, 2001)])
        file = tmp_path / "faces.jsonl.zst"
        await export(settings, file)
        for delay_s in (0.0, 0.1, 0.2, 0.4):
            running = await launch({"FACE_DATA": str(new.data)}, "import", str(file), module="indexer")
            await until((new.data / "gallery" / "contract.json").exists)
            await asyncio.sleep(delay_s)
            running.signal(signal.SIGKILL, group)
            await running.ended()
        assert await bring_in(new, file) == 0
        assert same(await contents(new), await contents(settings))

    @pytest.mark.process
    @pytest.mark.slow
    async def test_a_stop_says_how_to_go_on(self, tmp_path: Path) -> None:
        """SIGTERM leaves a part that the same command takes up."""
        settings = gallery_in(tmp_path / "many")
        await fill(settings, [face(n, picture="p" * 4000) for n in range(1, 2001)])
        file, part = tmp_path / "faces.jsonl", tmp_path / "faces.jsonl.part"
        running = await launch({"FACE_DATA": str(settings.data)}, "export", str(file), module="indexer")
        await until(lambda: size(part) > 0)
        running.signal(signal.SIGTERM)
        assert await running.ended() == 130
        assert "the same command goes on" in running.log
        assert await export(settings, file) == 0
        assert len(lines_of(file)) == 2002

    @pytest.mark.slow
    async def test_a_part_that_a_power_cut_spoilt(self, tmp_path: Path, few: Settings) -> None:
        """What can't be read of it is written anew."""
        await export(few, tmp_path / "whole.jsonl")
        lines = lines_of(tmp_path / "whole.jsonl")
        for rest in (b"\0" * 100 + b"\n", lines[2], b"{}\n", lines[5] + lines[4], b"".join(lines[3:])):
            (tmp_path / "faces.jsonl.part").write_bytes(b"".join(lines[:3]) + rest)
            assert await export(few, tmp_path / "faces.jsonl") == 0
            assert lines_of(tmp_path / "faces.jsonl") == lines
            (tmp_path / "faces.jsonl").unlink()


class TestRefused:
    """Files and galleries that don't go together."""

    @pytest.mark.slow
    async def test_a_gallery_of_another_model(self, tmp_path: Path, few: Settings) -> None:
        """Vectors of two models never mix, and the sentence says what to do."""
        await export(few, tmp_path / "faces.jsonl")
        other = gallery_in(tmp_path / "other")
        contract = replace(CONTRACT, model="casia-webface", digest="f" * 64)
        async with opened(other, contract) as store:
            await store.add(face(99), embedding(99))
        with pytest.raises(ContractMismatch, match="reembed"):
            await bring_in(other, tmp_path / "faces.jsonl")
        async with opened(other, contract) as store:
            assert [each.face_id async for each in store.scan(gallery=DEFAULT_GALLERY)] == [99]

    @pytest.mark.slow
    async def test_a_gallery_that_is_in_use(self, tmp_path: Path, few: Settings) -> None:
        """One sentence, and no file."""
        async with opened(few):
            with pytest.raises(GalleryInUse, match="stop that one"):
                await export(few, tmp_path / "faces.jsonl")
        assert not (tmp_path / "faces.jsonl").exists()
        assert not (tmp_path / "faces.jsonl.part").exists()

    async def test_no_gallery(self, tmp_path: Path) -> None:
        """Nothing is exported from where nothing is."""
        with pytest.raises(StoreUnavailable, match="no gallery there"):
            await export(gallery_in(tmp_path / "nowhere"), tmp_path / "faces.jsonl")

    @pytest.mark.slow
    async def test_a_file_that_is_there(self, tmp_path: Path, few: Settings) -> None:
        """An export overwrites nothing."""
        (tmp_path / "faces.jsonl").write_text("mine")
        with pytest.raises(UnusableArchive, match="is there already"):
            await export(few, tmp_path / "faces.jsonl")
        assert (tmp_path / "faces.jsonl").read_text() == "mine"

    @pytest.mark.slow
    async def test_a_folder_that_is_not_there(self, tmp_path: Path, few: Settings) -> None:
        """The file is named, and why it can't be written."""
        with pytest.raises(UnusableArchive, match="can't be written: No such file"):
            await export(few, tmp_path / "none" / "faces.jsonl")

    def test_two_exports_into_one_file(self, tmp_path: Path) -> None:
        """The second one spoils nothing."""
        file, header = tmp_path / "faces.jsonl", Header(CONTRACT, "here", 1)
        with closing(ArchiveWriter(file, header)), pytest.raises(UnusableArchive, match="by another export"):
            ArchiveWriter(file, header)

    @pytest.mark.process
    @pytest.mark.slow
    async def test_a_full_disk(self, tmp_path: Path) -> None:
        """What was written stays, and once there is room again the export goes on."""
        settings = gallery_in(tmp_path / "many")
        await fill(settings, [face(n, picture="p" * 4000) for n in range(1, 501)])
        file = tmp_path / "faces.jsonl"
        limit = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))"
        program = f"{limit}; runpy.run_module('indexer', run_name='__main__')"
        environ = {**os.environ, "FACE_DATA": str(settings.data)}
        command = (sys.executable, "-c", program, "export", str(file))
        process = await asyncio.create_subprocess_exec(*command, env=environ, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
        said = (await process.communicate())[1].decode()
        assert process.returncode == 2
        assert "mend that, and the same command goes on" in said
        assert size(tmp_path / "faces.jsonl.part") > 1_000_000
        assert await export(settings, file) == 0
        with ArchiveReader(file) as reader:
            assert same(await contents(settings), list(reader.read()))

    @pytest.mark.slow
    async def test_a_part_of_another_gallery(self, tmp_path: Path, few: Settings) -> None:
        """Two galleries never meet in one file."""
        await export(few, tmp_path / "faces.jsonl")
        (tmp_path / "faces.jsonl").rename(tmp_path / "next.jsonl.part")
        other = gallery_in(tmp_path / "other")
        await fill(other, [face(20)])
        with pytest.raises(UnusableArchive, match="not of this gallery"):
            await export(other, tmp_path / "next.jsonl")

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("empty.jsonl", b""),
            ("photo.jsonl", b"\xff\xd8\xff\xe0" * 100),
            ("list.jsonl", b"[1, 2]\n"),
            ("other.jsonl", b'{"face_id": 1}\n'),
            ("newer.jsonl", b'{"format": "face-gallery", "version": 2}\n'),
            ("header.jsonl", b'{"format": "face-gallery", "version": 1, "contract": {"model": 1}}\n'),
            ("deep.jsonl", b"[" * 100_000 + b"\n"),
            ("not.jsonl.gz", b'{"format": "face-gallery"}\n'),
            ("not.jsonl.zst", gzip.compress(b"{}\n")),
        ],
    )
    async def test_a_foreign_file(self, tmp_path: Path, name: str, content: bytes) -> None:
        """A sentence that names it, and no gallery is made."""
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnusableArchive, match=name):
            await bring_in(gallery_in(tmp_path / "new"), tmp_path / name)
        assert not (tmp_path / "new").exists()

    async def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UnusableArchive, match="No such file"):
            await bring_in(gallery_in(tmp_path / "new"), tmp_path / "faces.jsonl")


def spoil_vector(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b'"vector": [', b'"vector": [9, ')


def spoil_face_id(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b'"face_id": 4', b'"face_id": 9007199254740992')


def spoil_time(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b"+00:00", b"")


def spoil_remark(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b"person 4", b"\\ud800")


def spoil_line(lines: list[bytes]) -> None:
    lines[4] = b"no JSON\n"


def cut(lines: list[bytes]) -> None:
    lines[4] = lines[4][:1000]
    del lines[5:]


class TestDamaged:
    """What is good of a damaged file is imported, and the line that isn't is named."""

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize(
        "spoil",
        [spoil_vector, spoil_face_id, spoil_time, spoil_remark, spoil_line, cut],
        ids=lambda each: each.__name__,
    )
    async def test_in_the_middle(
        self,
        tmp_path: Path,
        few: Settings,
        suffix: str,
        spoil: Callable[[list[bytes]], None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The faces before it stay."""
        file, new = tmp_path / f"faces{suffix}", gallery_in(tmp_path / "new")
        await export(few, file)
        lines = lines_of(file)
        spoil(lines)
        file.write_bytes(codec_of(file).pack(b"".join(lines)))
        assert await bring_in(new, file) == 1
        assert "damaged at line 5:" in capsys.readouterr().err
        assert same(await contents(new), (await contents(few))[:3])

    @pytest.mark.slow
    async def test_without_its_end(self, tmp_path: Path, few: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        """A truncated export can't look whole, even where it breaks between two lines."""
        await export(few, tmp_path / "faces.jsonl")
        lines = lines_of(tmp_path / "faces.jsonl")
        (tmp_path / "faces.jsonl").write_bytes(b"".join(lines[:-1]))
        assert await bring_in(gallery_in(tmp_path / "new"), tmp_path / "faces.jsonl") == 1
        assert "line 12: the file is cut off there" in capsys.readouterr().err

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", SUFFIXES[1:])
    async def test_at_every_byte(self, tmp_path: Path, few: Settings, suffix: str) -> None:
        """A compressed file that ends anywhere too early is never taken for whole."""
        file = tmp_path / f"faces{suffix}"
        await export(few, file)
        whole = file.read_bytes()
        for size in range(0, len(whole), 97):
            file.write_bytes(whole[:size])
            with pytest.raises(UnusableArchive), ArchiveReader(file) as reader:
                list(reader.read())

    @pytest.mark.slow
    @pytest.mark.parametrize("change", get_args(Change))
    async def test_lines_that_look_good(
        self, tmp_path: Path, few: Settings, change: Change, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The end line tells that they are not those that were exported."""
        await export(few, tmp_path / "faces.jsonl")
        lines = lines_of(tmp_path / "faces.jsonl")
        match change:
            case "altered":
                lines[5] = lines[5].replace(b"picture5", b"picture6")
            case "missing":
                del lines[5]
            case "twice":
                lines.insert(5, lines[5])
            case "more":
                lines.append(lines[5])
        (tmp_path / "faces.jsonl").write_bytes(b"".join(lines))
        assert await bring_in(gallery_in(tmp_path / "new"), tmp_path / "faces.jsonl") == 1
        assert "damaged at line" in capsys.readouterr().err


class TestCommandLine:
    """`python -m indexer`."""

    def test_help_names_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main(["--help"])
        said = capsys.readouterr().out
        assert all(f"\n    {name} " in said for name in ("export", "import", "reembed"))

    @pytest.mark.process
    @pytest.mark.slow
    async def test_what_cannot_run(self, tmp_path: Path) -> None:
        """Exit status 2 and one sentence, for a bad setting as well as for a bad file."""
        for environ, word in (({}, "none.jsonl"), ({"FACE_PORT": "x"}, "FACE_PORT")):
            running = await launch(
                {"FACE_DATA": str(tmp_path), **environ}, "import", str(tmp_path / "none.jsonl"), module="indexer"
            )
            assert await running.ended() == 2
            assert word in running.log
            assert running.log.count("\n") == 1
