"""Files under 10 MiB, none of which a camera writes, that keep a reader busy for seconds or take a gigabyte."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
from PIL import Image

SIZE = 10 * 2**20 - 2**16
"""Bytes of those that grow with their length."""
LARGE = (10_000, 5_000)
"""Width and height of a photo of as many pixels as a service takes."""
HEAVY = (5_000, 5_000)
"""Likewise, where each pixel takes twice as much memory."""

_START, _END = b"\xff\xd8", b"\xff\xd9"
_EMPTY_SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"
"""Of the first component's finer details, which no bit follows."""


def jpeg(width: int = 1600, height: int = 1200, mode: str = "RGB", **options: object) -> bytes:
    """A grey photo that is whole."""
    out = io.BytesIO()
    Image.new(mode, (width, height), "grey" if mode == "RGB" else None).save(out, "JPEG", **options)
    return out.getvalue()


def many_scans(scans: int = 138_451, width: int = 1600, height: int = 1200) -> bytes:
    """A progressive JPEG that is gone over and over again."""
    return jpeg(width, height, progressive=True)[:-2] + _EMPTY_SCAN * scans + _END


def with_segments(segments: bytes) -> bytes:
    """A JPEG with more segments at its beginning."""
    return _START + segments + jpeg()[2:]


def segment(kind: int, content: bytes) -> bytes:
    """One of a JPEG."""
    return struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content


def exif_chain() -> bytes:
    """Blocks of EXIF that are joined one by one."""
    block = segment(0xE1, b"Exif\0\0" + bytes(20))
    return with_segments(block * (SIZE // len(block)))


def fill_bytes() -> bytes:
    """Ten million bytes that mean nothing."""
    return with_segments(b"\xff" * 10_000_000)


def empty_segments() -> bytes:
    """2.6 million comments without a word."""
    return with_segments(segment(0xFE, b"") * (SIZE // 4))


def exif_overlapping() -> bytes:
    """EXIF whose 5,000 tags all hold the same 60 KB: 300 MB."""
    entries = b"".join(struct.pack("<HHII", 0x4000 + each, 7, 60_000, 8) for each in range(5000))
    return with_segments(segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<IH", 8, 5000) + entries + bytes(4)))


def tiff(width: int, height: int, tags: dict[int, tuple[int, int, int]], rest: bytes) -> bytes:
    """A little TIFF of 8-bit grey; `tags` are types, counts and values, and `rest` begins at byte 512."""
    plain = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    entries = b"".join(struct.pack("<HHII", tag, *value) for tag, value in sorted({**plain, **tags}.items()))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries) // 12) + entries + bytes(4)
    return head.ljust(512, b"\0") + rest


def many_strips() -> bytes:
    """A TIFF of five million rows, a strip for each."""
    strips = 5_000_000
    tags = {273: (3, strips, 512), 278: (4, 1, 1), 279: (3, strips, 512)}
    return tiff(1, strips, tags, b"\x01\x00" * strips)


def float_tiff(width: int = HEAVY[0], height: int = HEAVY[1], samples: str = "<f4") -> bytes:
    """A TIFF of float or whole samples, compressed to a few kilobytes."""
    kind = np.dtype(samples)
    rows = zlib.compress(np.zeros(width * height, kind).tobytes(), 1)
    number = {"f": 3, "u": 1, "i": 2}[kind.kind]
    tags = {
        258: (3, 1, 8 * kind.itemsize),
        259: (3, 1, 8),
        273: (4, 1, 512),
        278: (4, 1, height),
        279: (4, 1, len(rows)),
        339: (3, 1, number),
    }
    return tiff(width, height, tags, rows)


def chunk(kind: bytes, content: bytes) -> bytes:
    """One of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, bits: int = 8, colour: int = 2, chunks: bytes = b"") -> bytes:
    """A black PNG; `colour` is 0 for grey and 2 for colours."""
    row = b"\0" + bytes(width * (3 if colour == 2 else 1) * bits // 8)
    packer = zlib.compressobj(1)
    pixels = b"".join(map(packer.compress, repeat(row, height))) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def many_profiles() -> bytes:
    """6,000 colour profiles of a megabyte each."""
    return png(64, 64, chunks=chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2**20 - 1000))) * 6000)


def many_texts(texts: int = 9000) -> bytes:
    """Texts of a megabyte each, which are read up to a limit of all together."""
    return png(64, 64, chunks=chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 - 1000))) * texts)


def bmp_run_lengths() -> bytes:
    """A BMP of a kilobyte, whose one row of 50 million pixels is filled by one end of a line."""
    head = struct.pack("<IiiHHIIiiII", 40, LARGE[0] * LARGE[1], 1, 1, 8, 1, 8, 0, 0, 256, 0)
    pixels = b"\x01\x00\x00\x00" + b"\0\1" * 4
    body = head + bytes(1024) + pixels
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, 14 + len(head) + 1024) + body


def webp_canvas() -> bytes:
    """38 bytes that ask for a canvas of 268 million pixels."""
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\x3f\x00" * 2
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + 8) + b"WEBP" + canvas + b"ANIM\0\0\0\0"


def gif_comments() -> bytes:
    """A GIF with a comment in 40,000 pieces, which are joined one by one."""
    out = io.BytesIO()
    Image.new("L", (64, 64)).save(out, "GIF")
    whole = out.getvalue()
    frame = whole.index(b"\x2c\0\0\0\0")
    return whole[:frame] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * (SIZE // 256) + b"\0" + whole[frame:]


def avif_boxes() -> bytes:
    """An AVIF file of a million boxes without content."""
    brand = struct.pack(">I", 24) + b"ftypavif\0\0\0\0avifmif1"
    return brand + (struct.pack(">I", 8) + b"free") * (SIZE // 8)


def deep_png() -> bytes:
    """25 million pixels of 16 bits a sample."""
    return png(*HEAVY, bits=16)


def printers_jpeg() -> bytes:
    """25 million pixels of four colours."""
    return jpeg(*HEAVY, mode="CMYK")


def slow_scans() -> bytes:
    """50 million pixels in as many scans as are plausible."""
    return many_scans(110, *LARGE)


def talkative_tiff() -> bytes:
    """A fax of 30,000 rows, about each of which libtiff has something to say."""
    fax = random.Random(1).randbytes(100_000)
    tags = {258: (3, 1, 1), 259: (3, 1, 3), 273: (4, 1, 512), 278: (4, 1, 30_000), 279: (4, 1, len(fax))}
    return tiff(100, 30_000, tags, fax)


REFUSED: dict[str, Callable[[], bytes]] = {
    "scans of a JPEG": many_scans,
    "EXIF segments of a JPEG": exif_chain,
    "fill bytes of a JPEG": fill_bytes,
    "empty segments of a JPEG": empty_segments,
    "strips of a TIFF": many_strips,
    "colour profiles of a PNG": many_profiles,
    "texts of a PNG": many_texts,
    "run lengths of a BMP": bmp_run_lengths,
    "canvas of a WebP": webp_canvas,
    "comment of a GIF": gif_comments,
    "boxes of an AVIF file": avif_boxes,
}
"""What the container alone tells."""

CONFINED: dict[str, Callable[[], bytes]] = {
    "overlapping EXIF": exif_overlapping,
    "scans of a large JPEG": slow_scans,
    "fax that libtiff complains of": talkative_tiff,
    "16-bit PNG": deep_png,
    "float TIFF": float_tiff,
    "CMYK JPEG": printers_jpeg,
}
"""What only a process of its own keeps from doing harm."""


def all_bombs() -> Iterator[tuple[str, bytes]]:
    """Each kind with its name."""
    for name, make in {**REFUSED, **CONFINED}.items():
        yield name, make()
