"""A photo may have as many pixels as it costs memory: of the costly kinds half as many as usual."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from service.errors import ImageTooLarge
from service.vision.images import accept, decode
from tests.support import bombs

MAX_PIXELS = 50_000_000
RGB, GREY, ALPHA, PALETTE = 2, 0, 6, 3


def png_head(width: int, height: int, bits: int, colour: int, chunks: bytes = b"") -> bytes:
    """A PNG without pixels."""
    header = bombs.chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunks + bombs.chunk(b"IDAT", zlib.compress(b"")) + bombs.chunk(b"IEND", b"")


def jpeg_head(width: int, height: int, mode: str) -> bytes:
    """A JPEG that says that it has so many pixels."""
    content = bytearray(bombs.jpeg(16, 16, mode))
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height, width)
    return bytes(content)


def tiff_head(width: int, height: int, number: int, bits: int) -> bytes:
    """A TIFF of one sample a pixel: whole (1), signed (2) or float (3)."""
    return bombs.tiff(width, height, {258: (3, 1, bits), 273: (4, 1, 512), 339: (3, 1, number)}, b"")


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        (png_head(10_000, 2501, 16, RGB), "10000×2501 pixels of 16 bits a colour, more than 25000000; save it as"),
        (png_head(10_000, 2501, 16, ALPHA), "of 16 bits a colour"),
        (png_head(10_000, 2501, 8, ALPHA), "with transparency"),
        (png_head(10_000, 2501, 8, PALETTE, bombs.chunk(b"PLTE", bytes(3)) + bombs.chunk(b"tRNS", b"\0")), "with tran"),
        (jpeg_head(10_000, 2501, "CMYK"), "of four colours"),
        (tiff_head(10_000, 2501, 3, 32), "of 32 bits"),
        (tiff_head(10_000, 2501, 2, 32), "of 32 bits"),
        (png_head(10_000, 5001, 16, RGB), "10000×5001 pixels, more than 50000000"),
    ],
)
def test_costly_photos_may_have_half_the_pixels(photo: bytes, sentence: str) -> None:
    """The head tells; nothing is decoded."""
    with pytest.raises(ImageTooLarge, match=sentence):
        accept(photo, max_bytes=len(photo), max_pixels=MAX_PIXELS)


@pytest.mark.parametrize(
    "photo",
    [
        jpeg_head(10_000, 5000, "RGB"),
        jpeg_head(10_000, 5000, "L"),
        png_head(10_000, 5000, 8, RGB),
        png_head(10_000, 5000, 16, GREY),
        png_head(10_000, 5000, 8, PALETTE, bombs.chunk(b"PLTE", bytes(3))),
        tiff_head(10_000, 5000, 1, 16),
        png_head(10_000, 2500, 16, RGB),
        jpeg_head(10_000, 2500, "CMYK"),
        tiff_head(10_000, 2500, 3, 32),
    ],
)
def test_photos_within_their_limit_are_taken(photo: bytes) -> None:
    assert accept(photo, max_bytes=len(photo), max_pixels=MAX_PIXELS).longer_side == 10_000


def test_up_to_16_megapixels_all_kinds_count_alike() -> None:
    """Where an operator allows fewer pixels, memory is no reason to allow even fewer."""
    out = io.BytesIO()
    Image.new("RGBA", (30, 20), "red").save(out, "PNG")
    assert decode(out.getvalue(), max_bytes=10**6, max_pixels=600).getpixel((0, 0)) == (255, 0, 0)
    assert accept(png_head(4000, 4000, 16, RGB), max_bytes=10**6, max_pixels=16_000_000).size == (4000, 4000)
