"""Large files whose checksums were noted in time aren't read again at a stop, unless they were written to since."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from service.stores.edge.seal import LARGE_BYTES, broken_files, note_sums, read_notes, write_seal

PAGES = "shard/segments/1/payload_storage/page_0.dat"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A large file of the gallery in `tmp_path`, written to some time ago."""
    path = tmp_path / PAGES
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes([7]) * LARGE_BYTES)
    (path.parent / "config.json").write_text("{}")
    date(path, time.time_ns() - 5_000_000_000)
    return path


def date(path: Path, nanoseconds: int) -> None:
    os.utime(path, ns=(nanoseconds, nanoseconds))


def write_undated(path: Path) -> None:
    """Change a byte as on a disk that doesn't date it, or by damage."""
    was = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"x")
    date(path, was)


def test_a_noted_file_is_sealed_without_being_read(tmp_path: Path, large: Path) -> None:
    """So a stop is quick: small files are all that it reads."""
    note_sums(tmp_path)
    assert list(read_notes(tmp_path)) == [PAGES]
    write_undated(large)
    write_seal(tmp_path)
    assert broken_files(tmp_path) is None  # the seal has the noted checksum


def test_a_file_that_was_written_to_since_is_read_again(tmp_path: Path, large: Path) -> None:
    note_sums(tmp_path)
    with large.open("r+b") as file:
        file.write(b"x")
    write_seal(tmp_path)
    assert broken_files(tmp_path) == []


def test_a_file_that_was_written_to_just_now_is_not_noted(tmp_path: Path, large: Path) -> None:
    """The clock of its disk may be too coarse to tell the next write from that one."""
    date(large, time.time_ns())
    note_sums(tmp_path)
    assert read_notes(tmp_path) == {}


def test_nothing_is_noted_that_is_not_wanted_any_more(tmp_path: Path, large: Path) -> None:
    """A service that stops doesn't wait for it."""
    note_sums(tmp_path, lambda: False)
    assert read_notes(tmp_path) == {}


def test_notes_that_are_gone_or_damaged_cost_only_time(tmp_path: Path, large: Path) -> None:
    note_sums(tmp_path)
    for text in ("", "0\n{}", "1\n[]"):
        (tmp_path / "sums.json").write_text(text)
        write_seal(tmp_path)
        assert broken_files(tmp_path) == []


def test_damage_to_other_files_is_told_beside_that_of_a_noted_one(tmp_path: Path, large: Path) -> None:
    note_sums(tmp_path)
    write_seal(tmp_path)
    write_undated(large)
    assert broken_files(tmp_path) is None
    (large.parent / "config.json").write_text("[]")
    wrong = broken_files(tmp_path)
    assert wrong is not None
    assert len(wrong) == 2
