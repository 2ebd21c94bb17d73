"""The seal of a closed gallery: what each of its files is like, so that a damaged one is known before it is loaded.

It is written when a gallery is closed and broken when it is opened. A gallery without one was not closed, or is an
older version's; its faces are compared one by one then. Checksums are CRC-32: damage is an accident, no enemy.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from service.files import fsync, replace_file

SEAL, LINKS = "seal.json", "links.json"

LIMIT_S = 6.0
"""Longest that a stop takes for it; a gallery that takes longer stays unsealed."""

THREADS = 2
_AT_ONCE = 1 << 20
_ZEROS = memoryview(bytes(_AT_ONCE))

Sums = dict[str, tuple[int, int]]
"""By the path in the gallery's folder: the bytes of a file, and its CRC-32."""


def write_seal(folder: Path) -> None:
    """Seal the folder of a closed gallery, unless that takes too long. Raises OSError."""
    sums = _sums(folder, _files(folder), time.monotonic() + LIMIT_S)
    if sums is not None:
        _write(folder / SEAL, sums)


def broken_files(folder: Path) -> list[str] | None:
    """In words, what is wrong with the files of a sealed gallery; None where there is no seal that can be read."""
    sealed = _read(folder / SEAL)
    if sealed is None:
        return None
    return _compare(folder, sealed, _files(folder))


def break_seal(folder: Path) -> None:
    """Before the gallery is loaded, which changes its files."""
    with suppress(FileNotFoundError):
        (folder / SEAL).unlink()
        fsync(folder)


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
    return wrong + [f"{name} has other bytes than it had" for name, sums in now.items() if sums != sealed[name]]


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


def _write(path: Path, sums: Sums) -> None:
    text = json.dumps(sums, indent=0)
    replace_file(path, f"{zlib.crc32(text.encode())}\n{text}\n")


def _read(path: Path) -> Sums | None:
    """None for a file that is missing or damaged itself."""
    try:
        crc, _, text = path.read_text("utf-8").partition("\n")
        text = text.removesuffix("\n")
        if int(crc) != zlib.crc32(text.encode()):
            return None
        return {name: (size, sum_) for name, (size, sum_) in json.loads(text).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None
