"""Directories of tags, of a TIFF and of EXIF: how many there are, and how much their values hold, before any is read.

Values may overlap, so a small file may hold far more than its length: Pillow reads and keeps each value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

SMALL_ENTRIES = 256
"""Of a directory that a camera writes; it has some 20 to 60."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value, by TIFF's number of its type."""
_IN_ENTRY = 8
"""Bytes of a value that stands in its entry, at most."""


class Entry(NamedTuple):
    """A tag: its number, how many values it claims to have, and the bytes that these take."""

    tag: int
    values: int
    size: int


class Directory(NamedTuple):
    """The first directory of a file: how many entries it claims to have, and those that are there."""

    claimed: int
    entries: Iterator[Entry]


def first_directory(tiff: bytes, *, start: int = 0) -> Directory | None:
    """The first directory of a TIFF, or of a BigTIFF, that begins at `start`; None where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[start : start + 2])
    if order is None:
        return None
    big = 43 in tiff[start + 2 : start + 4]  # noqa: PLR2004 - BigTIFF's number; TIFF's is 42
    number, count, entry = ("Q", "Q", "HHQ8x") if big else ("I", "H", "HHI4x")
    try:
        place = start + struct.unpack_from(order + number, tiff, start + (8 if big else 4))[0]
        claimed = struct.unpack_from(order + count, tiff, place)[0]
    except (struct.error, OverflowError):  # the latter for a place of 64 bits
        return None
    layout = struct.Struct(order + entry)
    return Directory(claimed, _entries(tiff, place + struct.calcsize(order + count), layout, claimed))


def is_small_directory(exif: bytes) -> bool:
    """Whether the first directory of a block of EXIF is as small as a camera's, and holds no more than the block."""
    directory = first_directory(exif)
    if directory is None:
        return True  # nothing is read of it
    if directory.claimed > SMALL_ENTRIES:
        return False
    return sum(each.size for each in directory.entries if each.size > _IN_ENTRY) <= len(exif)


def _entries(tiff: bytes, place: int, layout: struct.Struct, claimed: int) -> Iterator[Entry]:
    for start in range(place, min(place + claimed * layout.size, len(tiff) - layout.size + 1), layout.size):
        tag, kind, count = layout.unpack_from(tiff, start)
        yield Entry(tag, count, count * _SIZES.get(kind, 0))
