"""Looks at the heads of BMP, GIF, WebP, AVIF and HEIC files for what takes long or much memory before it is refused."""

from __future__ import annotations

import struct

from service.errors import ImplausibleImage, InvalidImage
from service.vision.containers.pixels import require_pixels

MAX_RLE_PIXELS = 4_000_000
"""Of a BMP with run lengths, which Pillow decodes in Python, one by one."""
MAX_BLOCKS = 4000
"""Of comments and the like before a GIF's first frame; Pillow joins them in a time that grows with their square."""
MAX_BOXES = 2000
"""Of an AVIF or HEIC file at its top, and as many chunks of a WebP; an animation has two for each frame."""

_RLE = {1, 2}
_COMMENT, _FRAME, _END = 0x21, 0x2C, 0x3B


def require_plausible_bmp(photo: bytes) -> None:
    """Raises ImplausibleImage for one that is coded so that it takes long."""
    if len(photo) < 34 or struct.unpack_from("<I", photo, 30)[0] not in _RLE:  # noqa: PLR2004 - up to there
        return
    width, height = struct.unpack_from("<ii", photo, 18)
    if abs(width * height) > MAX_RLE_PIXELS:
        raise ImplausibleImage(
            f"The image is a BMP of run lengths with more than {MAX_RLE_PIXELS} pixels; save it as JPEG."
        )


def require_plausible_gif(photo: bytes) -> None:
    """Raises ImplausibleImage where too much stands before the first frame."""
    flags = photo[10] if len(photo) > 10 else 0  # noqa: PLR2004 - of the screen
    place, blocks = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0), 0
    while place + 1 < len(photo) and photo[place] not in {_FRAME, _END}:
        blocks += 1
        if photo[place] == _COMMENT:
            place += 2
            while place < len(photo) and photo[place] and blocks <= MAX_BLOCKS:
                place += photo[place] + 1
                blocks += 1
        place += 1
        if blocks > MAX_BLOCKS:
            raise ImplausibleImage(
                f"The image has more than {MAX_BLOCKS} blocks before its first frame; save it as JPEG."
            )


def require_plausible_webp(photo: bytes, *, max_pixels: int) -> None:
    """Raises ImageTooLarge for a canvas of more pixels, which Pillow makes at once; ImplausibleImage for many chunks.

    Raises InvalidImage where there is nothing to draw on the canvas.
    """
    place, chunks, pictures = 12, 0, 0
    while place + 8 <= len(photo):
        kind, length = struct.unpack_from("<4sI", photo, place)
        chunks += 1
        if chunks > MAX_BOXES:
            raise ImplausibleImage(f"The image has more than {MAX_BOXES} chunks; save it as JPEG.")
        if kind == b"VP8X" and place + 18 <= len(photo):
            width = int.from_bytes(photo[place + 12 : place + 15], "little") + 1
            height = int.from_bytes(photo[place + 15 : place + 18], "little") + 1
            require_pixels((width, height), max_pixels)
        pictures += kind in {b"VP8 ", b"VP8L", b"ANMF"}
        place += 8 + length + (length & 1)
    if not pictures:
        raise InvalidImage("The image is damaged or cut short; send it again.")


def require_plausible_boxes(photo: bytes) -> None:
    """Raises ImplausibleImage for an AVIF or HEIC file in too many boxes."""
    place, boxes = 0, 0
    while place + 8 <= len(photo):
        length = int.from_bytes(photo[place : place + 4], "big")
        length = int.from_bytes(photo[place + 8 : place + 16], "big") if length == 1 else length
        boxes += 1
        if boxes > MAX_BOXES:
            raise ImplausibleImage(f"The image has more than {MAX_BOXES} boxes; save it as JPEG.")
        if length < 8:  # noqa: PLR2004 - its head: it reaches to the end, or is damaged
            return
        place += length
