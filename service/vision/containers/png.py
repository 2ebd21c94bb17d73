"""Walks over the chunks of a PNG."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from service.errors import ImplausibleImage
from service.vision.containers.tags import is_small_directory

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_CHUNKS = 50_000
"""Programs write the pixels in pieces of 8 KiB or more. Pillow goes through the chunks in Python."""
MAX_DESCRIPTIVE = 1000
"""Chunks that say something about the photo; a compressed one takes the time of a megabyte."""
MAX_PROFILES = 4
"""Colour profiles; there may be one."""

SMALL_DESCRIPTIVE = 16
SMALL_PIXELS = 8_000_000
_SMALL_DEPTH = 8
"""Bits a sample."""

_DESCRIPTIVE = {b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"}
_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
_EXIF_IN_A_TEXT = b"Raw profile type"
_FRAME = 12
"""Bytes of a chunk around its content: the length, the kind, the checksum."""


@dataclass(slots=True)
class PngWalk:
    """What was seen up to the last chunk; `whole` where that is there."""

    size: tuple[int, int] | None = None
    bits: int = 0
    chunks: int = 0
    descriptive: int = 0
    profiles: int = 0
    usual: bool = field(default=True)
    """Whether nothing was met that asks for more than pixels: no animation, no large EXIF, no EXIF as text."""
    whole: bool = False

    @property
    def ordinary(self) -> bool:
        """Whether it is decoded within a known short time."""
        return (
            self.size is not None
            and self.whole
            and self.usual
            and self.bits <= _SMALL_DEPTH
            and self.descriptive <= SMALL_DESCRIPTIVE
            and self.size[0] * self.size[1] <= SMALL_PIXELS
        )


def walk(photo: bytes) -> PngWalk:
    """The walk over a PNG, in time that grows with its chunks. Raises ImplausibleImage."""
    found, place = PngWalk(), len(SIGNATURE)
    while place + _FRAME <= len(photo) and not found.whole:
        length, kind = struct.unpack_from(">I4s", photo, place)
        found.chunks += 1
        _note(found, kind, photo, place + 8, length)
        _require_plausible(found)
        place += _FRAME + length
    return found


def _note(found: PngWalk, kind: bytes, photo: bytes, start: int, length: int) -> None:
    if kind == b"IHDR" and start + 9 <= len(photo) and found.size is None:
        width, height, found.bits = struct.unpack_from(">IIB", photo, start)
        found.size = (width, height)
    elif kind == b"IEND":
        found.whole = True
    elif kind in _ANIMATED:
        found.usual = False
    elif kind in _DESCRIPTIVE:
        found.descriptive += 1
        found.profiles += kind == b"iCCP"
        if kind == b"eXIf":
            found.usual = found.usual and is_small_directory(photo[start : start + length])
        elif photo.startswith(_EXIF_IN_A_TEXT, start):
            found.usual = False


def _require_plausible(found: PngWalk) -> None:
    if found.chunks > MAX_CHUNKS:
        raise ImplausibleImage(f"The image has more than {MAX_CHUNKS} chunks, as no program writes; save it as JPEG.")
    if found.profiles > MAX_PROFILES:
        raise ImplausibleImage(
            f"The image has more than {MAX_PROFILES} colour profiles; there may be one: save it anew."
        )
    if found.descriptive > MAX_DESCRIPTIVE:
        raise ImplausibleImage(f"The image has more than {MAX_DESCRIPTIVE} texts; save it as JPEG.")
