"""An export to standard output: the same lines as in a file, and never half of them for a whole."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.moving.archive_reader import ArchiveReader
from indexer.moving.archive_stream import ArchiveStream
from service.errors import UnusableArchive
from service.moving.archive import Header
from service.settings import Settings
from tests.moving.test_transfer import contents, export, fill, same
from tests.support.processes import ROOT
from tests.support.stored_faces import CONTRACT, face

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
async def gallery(tmp_path: Path) -> Settings:
    settings = Settings(data=tmp_path / "data")
    await fill(settings, [face(n, picture="p" * 4000) for n in range(1, 501)])
    return settings


def command(settings: Settings) -> subprocess.Popen[bytes]:
    """`face-indexer export -`, with both of its outputs in pipes."""
    environ = {**os.environ, "FACE_DATA": str(settings.data)}
    line = [sys.executable, "-m", "indexer", "export", "-"]
    return subprocess.Popen(line, env=environ, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


async def test_it_is_what_a_file_holds(gallery: Settings, tmp_path: Path) -> None:
    """To the byte; what is said besides goes to standard error, and no file named `-` comes to be."""
    lines, said = await asyncio.to_thread(command(gallery).communicate)
    assert b"The export holds 500 faces." in said
    assert await export(gallery, tmp_path / "faces.jsonl") == 0
    assert lines == (tmp_path / "faces.jsonl").read_bytes()
    (tmp_path / "piped.jsonl").write_bytes(lines)
    with ArchiveReader(tmp_path / "piped.jsonl") as reader:
        assert same(await contents(gallery), list(reader.read()))
    assert not list(ROOT.glob("-*"))


async def test_a_reader_that_leaves_is_told_of(gallery: Settings) -> None:
    """In one sentence, with status 2: a pipeline with `head` must not look like an export."""
    running = command(gallery)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.read(100)
    running.stdout.close()
    said = (await asyncio.to_thread(running.stderr.read)).decode()
    running.stderr.close()
    assert running.wait() == 2
    assert "The export can't be written to standard output (Broken pipe); it is not whole, run it again." in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_of(gallery: Settings) -> None:
    line = [sys.executable, "-m", "indexer", "export", "-"]
    environ = {**os.environ, "FACE_DATA": str(gallery.data)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(line, check=False, env=environ, cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"(No space left on device); it is not whole" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_terminal_is_refused() -> None:
    """Everybody's face and name would run over it."""
    outer, inner = os.openpty()
    header = Header(CONTRACT, "gallery", 1, 31)
    with os.fdopen(inner, "wb", buffering=0) as terminal, pytest.raises(UnusableArchive, match="is a terminal"):
        ArchiveStream(terminal, header)
    os.close(outer)
