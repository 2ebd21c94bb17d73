"""Photos whose pixels are whole though their file is not: PNGs with odd texts, JPEGs without their end."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, ImageChops

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_END_OF_IMAGE = b"\xff\xd9"
_FOREIGN = b"\x55" * 4096
"""Bytes that would alter the pixels if any of a JPEG were still to come."""

_MAX_TEXT = 2**20
"""Bytes of a PNG's text; Pillow reads no longer one."""
_DESCRIPTIVE = {b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"}
"""A PNG's chunks that say something about the pixels; without them the pixels are the same."""
_ORIENTING = (b"Raw profile type exif\0", b"Raw profile type APP1\0", b"XML:com.adobe.xmp\0")
"""How those texts begin that may say which way a photo lies."""


def repaired(photo: bytes) -> bytes | None:
    """The photo as a file that can be read, where nothing of its pixels is missing; None where there is no such.

    Raises nothing for any bytes, but takes the time of two decodings for a JPEG.
    """
    if photo.startswith(PNG):
        plain = PNG + b"".join(_needed_chunks(photo))
        return plain if len(plain) < len(photo) else None
    if photo.startswith(JPEG):
        return _ended(photo)
    return None


def _ended(photo: bytes) -> bytes | None:
    """A JPEG with an end marker. Its last scan is whole only where it doesn't matter which bytes come before that."""
    body = photo.rstrip(b"\xff")  # half an end marker
    try:
        with Image.open(io.BytesIO(body + _END_OF_IMAGE), formats=("JPEG",)) as ended:
            ended.load()
            with Image.open(io.BytesIO(body + _FOREIGN + _END_OF_IMAGE), formats=("JPEG",)) as foreign:
                foreign.load()
                same = ImageChops.difference(ended, foreign).getbbox() is None
    except (OSError, ValueError, SyntaxError, MemoryError):
        return None
    return body + _END_OF_IMAGE if same else None


def _needed_chunks(photo: bytes) -> Iterator[bytes]:
    """A PNG's chunks but those that only describe it; of these, the ones that may say which way it lies."""
    place = len(PNG)
    while place + 12 <= len(photo):
        length, kind = struct.unpack_from(">I4s", photo, place)
        chunk = photo[place : place + 12 + length]
        if kind not in _DESCRIPTIVE or _may_orient(kind, chunk):
            yield chunk
        place += len(chunk)


def _may_orient(kind: bytes, chunk: bytes) -> bool:
    content = chunk[8:-4]
    if chunk[-4:] != struct.pack(">I", zlib.crc32(chunk[4:-4])):
        return False
    if kind == b"eXIf":
        return True
    keyword = next((each for each in _ORIENTING if content.startswith(each)), None)
    if keyword is None or kind == b"iCCP":
        return False
    if kind == b"zTXt":
        return _inflates_to_little(content[len(keyword) + 1 :])
    return len(content) < _MAX_TEXT and (kind == b"tEXt" or content[len(keyword) :][:1] == b"\0")  # else compressed


def _inflates_to_little(compressed: bytes) -> bool:
    try:
        inflating = zlib.decompressobj()
        return len(inflating.decompress(compressed, _MAX_TEXT)) < _MAX_TEXT
    except zlib.error:
        return False
