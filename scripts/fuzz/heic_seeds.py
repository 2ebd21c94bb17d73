"""Small HEIC photos to be damaged: one picture with nothing around it, and a grid of tiles as phones store theirs."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

PHONES = Path("tests/vision/heic/turned.heic")
"""A phone's photo with a colour profile and EXIF data; nothing here could encode another."""
SIZE = (90, 120)
"""Width and height of its coded picture, in pixels."""


def heic_seeds() -> dict[str, bytes]:
    """The photos by a name each; none where HEIC isn't read, or where the project's folder isn't the current one."""
    if find_spec("pi_heif") is None or not PHONES.exists():
        return {}
    phones = PHONES.read_bytes()
    place = phones.index(b"hvcC") - 4
    decoder = phones[place : place + struct.unpack_from(">I", phones, place)[0]]
    place = phones.index(b"iloc") + 16  # behind its head, the widths, the count and the first item's two numbers
    offset, _, start, length = struct.unpack_from(">IHII", phones, place)
    coded = phones[offset + start :][:length]
    bare, grid = (_assembled(decoder, coded, side) for side in (1, 2))
    return {"heic": phones, "heic-bare": bare, "heic-grid": grid}


def _assembled(decoder: bytes, coded: bytes, side: int) -> bytes:
    """One coded picture, or a square of tiles that all are this one."""
    head = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    first = len(head) + len(_meta(decoder, len(coded), side, 0)) + 8
    return head + _meta(decoder, len(coded), side, first) + _box(b"mdat", coded)


def _meta(decoder: bytes, length: int, side: int, first: int) -> bytes:
    """Items 1 to n are the coded picture, which lies at `first`; n + 1 is their grid, where n > 1."""
    width, height = SIZE
    count, is_grid = side**2, side > 1
    items = [(each + 1, b"hvc1") for each in range(count)] + [(count + 1, b"grid")] * is_grid
    grid = struct.pack(">BBBBHH", 0, 0, side - 1, side - 1, width * side, height * side)
    places = [(0, first, length)] * count + [(1, 0, len(grid))] * is_grid
    located = b"".join(struct.pack(">HHHHII", n + 1, how, 0, 1, *at) for n, (how, *at) in enumerate(places))
    owned = b"".join(struct.pack(">HB", n, 2) + (b"\x03\x84" if kind == b"grid" else b"\x81\x02") for n, kind in items)
    shapes = [_full(b"ispe", struct.pack(">II", width * times, height * times)) for times in (1, side)]
    named = b"".join(_full(b"infe", struct.pack(">HH", n, 0) + kind + b"\0", version=2) for n, kind in items)
    tiles = struct.pack(f">HH{count}H", count + 1, count, *range(1, count + 1))
    return _full(
        b"meta",
        _full(b"hdlr", b"\0\0\0\0pict" + b"\0" * 13)
        + _full(b"pitm", struct.pack(">H", items[-1][0]))
        + _full(b"iinf", struct.pack(">H", len(items)) + named)
        + _full(b"iloc", b"\x44\0" + struct.pack(">H", len(items)) + located, version=1)
        + _full(b"iref", _box(b"dimg", tiles)) * is_grid
        + _box(b"iprp", _box(b"ipco", decoder, *shapes, _box(b"irot", b"\3")) + _owners(len(items), owned))
        + _box(b"idat", grid) * is_grid,
    )


def _owners(count: int, owned: bytes) -> bytes:
    """Which item has which of the properties."""
    return _full(b"ipma", struct.pack(">I", count) + owned)


def _box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I", len(content) + 8) + kind + content


def _full(kind: bytes, content: bytes, version: int = 0) -> bytes:
    """A box with a version, and no flags."""
    return _box(kind, struct.pack(">I", version << 24), content)
