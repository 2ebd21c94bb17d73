"""The seal of a closed gallery: what each of its files is like, so that a damaged one is known before it is loaded.

It is written when a gallery is closed and broken when it is opened. A gallery without one was not closed, or is an
older version's; its faces are compared one by one then. Checksums are CRC-32: damage is an accident, no enemy.

A stop has no time to read gigabytes. So the checksums of large files are noted when there is time, and kept for those
that nobody has written to since.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.files import fsync, replace_file

SEAL, LINKS, NOTES = "seal.json", "links.json", "sums.json"

LIMIT_S = 6.0
"""Longest that a stop takes for it; a gallery that takes longer stays unsealed."""

LARGE_BYTES = 4 * 2**20
"""Files from this size on have their checksums noted."""

THREADS = 2
_AT_ONCE = 1 << 20
_ZEROS = memoryview(bytes(_AT_ONCE))
_TICK_NS = 1_000_000_000
"""File systems' clocks may lag behind."""

Sums = dict[str, tuple[int, int]]
"""By the path in the gallery's folder: the bytes of a file, and its CRC-32."""

Notes = dict[str, tuple[int, int, int]]
"""Likewise, and when the file was written to last, in nanoseconds since 1970."""


def write_seal(folder: Path, limit_s: float = LIMIT_S) -> None:
    """Seal the folder of a closed gallery, unless that takes too long. Raises OSError."""
    known = _still_true(folder, read_notes(folder))
    rest = [each for each in _files(folder) if each.relative_to(folder).as_posix() not in known]
    sums = _sums(folder, rest, time.monotonic() + limit_s)
    if sums is not None:
        _write(folder / SEAL, known | sums)


def note_sums(folder: Path, is_wanted: Callable[[], bool] = lambda: True) -> None:
    """Note the checksums of the shard's large files, unless they aren't wanted any more. Raises OSError.

    The gallery may be in use: what is written to meanwhile is left out.
    """
    notes: Notes = {}
    for path in _files(folder):
        if not is_wanted():
            return
        with suppress(FileNotFoundError):
            if path.stat().st_size >= LARGE_BYTES and (written_at := _settled_since(path)) is not None:
                size, crc = _sum(path, float("inf")) or (0, 0)
                notes[path.relative_to(folder).as_posix()] = (size, crc, written_at)
    _write(folder / NOTES, notes)


def broken_files(folder: Path) -> list[str] | None:
    """In words, what is wrong with the files of a sealed gallery; None where there is no seal to go by.

    A file that isn't as it was noted may have been written to on a disk that doesn't date that: its faces must tell.
    """
    sealed = _read(folder / SEAL)
    if sealed is None:
        return None
    wrong = _compare(folder, sealed, _files(folder))
    noted = {_other_bytes(name) for name, each in read_notes(folder).items() if each[:2] == sealed.get(name)}
    return None if wrong and noted.issuperset(wrong) else wrong


def break_seal(folder: Path) -> None:
    """Before the gallery is loaded, which changes its files."""
    with suppress(FileNotFoundError):
        (folder / SEAL).unlink()
        fsync(folder)


def read_notes(folder: Path) -> Notes:
    """What `note_sums` noted."""
    return _read(folder / NOTES, 3) or {}


def note_links(folder: Path) -> None:
    """Remember the files of the search index, which stay as they are until the next one is built."""
    sums = _sums(folder, _links(folder), time.monotonic() + LIMIT_S)
    if sums is not None:
        _write(folder / LINKS, sums)


def broken_links(folder: Path) -> list[str]:
    """In words, what is wrong with the files of the search index, of the parts that are still there."""
    noted = _read(folder / LINKS) or {}
    there = {name: sums for name, sums in noted.items() if (folder / name).parents[1].exists()}
    return _compare(folder, there, [folder / name for name in there])


def _files(folder: Path) -> list[Path]:
    named = [folder / name for name in ("contract.json", "galleries.json", "ledger.sqlite")]
    # The log of writes is left out: it may still get its next file, and after a close the segments have all of it.
    shard = [
        each
        for each in sorted((folder / "shard").rglob("*"))
        if each.is_file() and not each.name.startswith(".") and each.parent != folder / "shard" / "wal"
    ]
    return [*(each for each in named if each.exists()), *shard]


def _links(folder: Path) -> list[Path]:
    return [each for each in sorted((folder / "shard").glob("segments/*/vector_index/*")) if each.is_file()]


def _compare(folder: Path, sealed: Sums, files: list[Path]) -> list[str]:
    wrong = [f"{name} is missing" for name in sealed if not (folder / name).is_file()]
    present = {each.relative_to(folder).as_posix(): each for each in files if each.is_file()}
    wrong += [f"{name} was not there when the gallery was closed" for name in present.keys() - sealed.keys()]
    for name, path in list(present.items()):
        size = path.stat().st_size
        if name in sealed and size != sealed[name][0]:
            wrong.append(f"{name} has {size:,} bytes instead of {sealed[name][0]:,}")
            del present[name]
    known = [path for name, path in present.items() if name in sealed]
    now = _sums(folder, known, float("inf")) or {}
    return wrong + [_other_bytes(name) for name, sums in now.items() if sums != sealed[name]]


def _other_bytes(name: str) -> str:
    return f"{name} has other bytes than it had"


def _sums(folder: Path, files: list[Path], deadline: float) -> Sums | None:
    """None where the time is up before all are read."""
    with ThreadPoolExecutor(THREADS) as threads:
        sums = list(threads.map(lambda each: _sum(each, deadline), files))
    found = {
        path.relative_to(folder).as_posix(): each for path, each in zip(files, sums, strict=True) if each is not None
    }
    return found if len(found) == len(files) else None


def _sum(path: Path, deadline: float) -> tuple[int, int] | None:
    crc, place = 0, 0
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while place < size:
            if time.monotonic() > deadline:
                return None
            # Much is preallocated, and holes needn't be read to be known as zeros.
            data = _next_data(file.fileno(), place, size)
            file.seek(place)
            chunk = _ZEROS[: data - place] if data > place else file.read(_AT_ONCE)
            if not chunk:
                break
            crc, place = zlib.crc32(chunk, crc), place + len(chunk)
    return place, crc


def _next_data(descriptor: int, place: int, size: int) -> int:
    """Where the next bytes are that are no hole."""
    if not hasattr(os, "SEEK_DATA"):
        return place
    try:
        return os.lseek(descriptor, place, os.SEEK_DATA)
    except OSError:  # nothing but a hole up to the end
        return size


def _still_true(folder: Path, notes: Notes) -> Sums:
    """The notes of files that were not written to since."""
    known: Sums = {}
    for name, (size, crc, written_at) in notes.items():
        with suppress(OSError):
            if _settled_since(folder / name) == written_at and (folder / name).stat().st_size == size:
                known[name] = (size, crc)
    return known


def _settled_since(path: Path) -> int | None:
    """When a file was written to last, None where that was just now.

    Writes through memory maps date the file at the first one to a page that is in step with the disk, so all are now.
    """
    began = time.time_ns()
    fsync(path)
    written_at = path.stat().st_mtime_ns
    return written_at if written_at < began - _TICK_NS else None


def _write(path: Path, sums: Sums | Notes) -> None:
    text = json.dumps(sums, indent=0)
    replace_file(path, f"{zlib.crc32(text.encode())}\n{text}\n")


def _read(path: Path, numbers: int = 2) -> dict[str, Any] | None:
    """Each file's so many numbers; None for a file that is missing or damaged itself."""
    try:
        crc, _, text = path.read_text("utf-8").partition("\n")
        text = text.removesuffix("\n")
        if int(crc) != zlib.crc32(text.encode()):
            return None
        found = {name: tuple(map(int, each)) for name, each in json.loads(text).items()}
        return found if all(len(each) == numbers for each in found.values()) else None
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None
