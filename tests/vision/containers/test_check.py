"""What a photo's container tells before anything decodes it: what no camera writes, and what is quickly decoded."""

from __future__ import annotations

import io
import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from service.errors import ImageTooLarge, ImplausibleImage, InvalidImage
from service.vision.containers import jpeg, others, png, tiff
from service.vision.containers.check import is_ordinary, may_be_photo
from service.vision.containers.tags import first_directory
from tests.support import bombs

MAX_PIXELS = 50_000_000


def ordinary(photo: bytes) -> bool:
    return is_ordinary(photo, max_pixels=MAX_PIXELS)


def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


# What is refused


@pytest.mark.slow
@pytest.mark.parametrize("name", bombs.REFUSED)
def test_what_keeps_readers_busy_is_refused_by_its_container(name: str) -> None:
    """Within a fraction of a second of processor time, and without a copy of the photo."""
    photo = bombs.REFUSED[name]()
    assert len(photo) < 10 * 2**20
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises((ImplausibleImage, ImageTooLarge), match=r"^The image"):
        ordinary(photo)
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 0.5
    assert peak < 4 * 2**20


PLAIN = bombs.jpeg(64, 64)
GIF = encode(Image.new("L", (8, 8)), "GIF")


def with_comments(count: int) -> bytes:
    frame = GIF.index(b"\x2c\0\0\0\0")
    return GIF[:frame] + b"\x21\xfe\x01x\0" * count + GIF[frame:]


def with_boxes(count: int) -> bytes:
    return (struct.pack(">I", 24) + b"ftypavif\0\0\0\0avifmif1") + (struct.pack(">I", 8) + b"free") * (count - 1)


def with_webp_chunks(count: int) -> bytes:
    webp = encode(Image.new("RGB", (8, 8)), "WEBP")
    return webp + (b"XTRA" + struct.pack("<I", 0)) * (count - 1)


def in_strips(count: int) -> bytes:
    tags = {273: (4, count, 512), 278: (4, 1, 1), 279: (4, count, 512)}
    return bombs.tiff(1, count, tags, bytes(8 * count))


def run_lengths(pixels: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, pixels, 1, 1, 8, 1, 8, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 62, 0, 0, 54) + head + b"\0\1" * 4


BOUNDS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "scans": (lambda count: PLAIN[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" * (count - 1) + b"\xff\xd9", 128),
    "filling": (lambda count: PLAIN[:2] + b"\xff" * count + PLAIN[2:], 65_000),
    "colour profiles": (lambda count: bombs.png(8, 8, chunks=bombs.chunk(b"iCCP", b"p\0\0") * count), png.MAX_PROFILES),
    "texts": (lambda count: bombs.png(8, 8, chunks=bombs.chunk(b"tEXt", b"a\0b") * count), png.MAX_DESCRIPTIVE),
    "chunks": (lambda count: bombs.png(8, 8, chunks=bombs.chunk(b"IDAT", b"") * (count - 3)), png.MAX_CHUNKS),
    "strips": (in_strips, tiff.MAX_STRIPS),
    "run lengths": (run_lengths, others.MAX_RLE_PIXELS),
    "comments": (lambda count: with_comments(count // 2), others.MAX_BLOCKS),
    "boxes": (with_boxes, others.MAX_BOXES),
    "WebP chunks": (with_webp_chunks, others.MAX_BOXES),
}
"""How to make a photo with so many of something, and how many are taken."""


@pytest.mark.parametrize("name", BOUNDS)
def test_as_many_as_allowed_are_taken_and_more_are_not(name: str) -> None:
    make, allowed = BOUNDS[name]
    ordinary(make(allowed))
    with pytest.raises(ImplausibleImage):
        ordinary(make(allowed + max(2, allowed // 50)))


def test_a_canvas_of_too_many_pixels_is_refused_though_there_is_nothing_on_it() -> None:
    with pytest.raises(ImageTooLarge, match="16384×16384 pixels, more than 50000000"):
        ordinary(bombs.webp_canvas())


def test_tags_that_hold_more_than_their_file_are_refused() -> None:
    """They overlap; a reader keeps each."""
    tags = {40_000 + each: (7, 900, 0) for each in range(30)}
    with pytest.raises(ImplausibleImage, match="several times"):
        ordinary(bombs.tiff(8, 8, tags, bytes(1000)))


# What is ordinary

ORDINARY: dict[str, Callable[[], bytes]] = {
    "JPEG": bombs.jpeg,
    "progressive JPEG": lambda: bombs.jpeg(progressive=True),
    "grey JPEG": lambda: bombs.jpeg(mode="L"),
    "JPEG with EXIF": lambda: bombs.jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    "JPEG with restarts": lambda: bombs.jpeg(restart_marker_blocks=1),
    "JPEG with a colour profile": lambda: bombs.jpeg(icc_profile=bytes(300_000)),
    "JPEG with something behind it": lambda: bombs.jpeg() + bytes(10_000),
    "PNG": lambda: bombs.png(640, 480),
    "transparent PNG": lambda: encode(Image.new("RGBA", (64, 64)), "PNG"),
    "palette PNG": lambda: encode(Image.new("P", (64, 64)), "PNG"),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_cameras_and_browsers_write_is_ordinary(name: str) -> None:
    """A worker thread decodes it at once."""
    assert ordinary(ORDINARY[name]())


UNUSUAL: dict[str, Callable[[], bytes]] = {
    **bombs.CONFINED,
    "JPEG cut short": lambda: bombs.jpeg()[:-2],
    "large JPEG": lambda: bombs.jpeg(4001, 4001),
    "many scans": lambda: bombs.many_scans(60),
    "two blocks of EXIF": lambda: bombs.with_segments(bombs.segment(0xE1, b"Exif\0\0") * 2),
    "BigTIFF as EXIF": lambda: bombs.jpeg(exif=b"Exif\0\0II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + b"\xff" * 40),
    "large PNG": lambda: bombs.png(4000, 2001),
    "animated PNG": lambda: encode(
        Image.new("L", (8, 8)), "PNG", save_all=True, append_images=[Image.new("L", (8, 8), 9)]
    ),
    "PNG with EXIF in a text": lambda: bombs.png(8, 8, chunks=bombs.chunk(b"tEXt", b"Raw profile type exif\0x")),
    "WebP": lambda: encode(Image.new("RGB", (64, 64)), "WEBP"),
    "GIF": lambda: GIF,
    "BMP": lambda: encode(Image.new("RGB", (64, 64)), "BMP"),
    "TIFF": lambda: encode(Image.new("RGB", (64, 64)), "TIFF"),
    "AVIF": lambda: encode(Image.new("RGB", (64, 64)), "AVIF"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNUSUAL)
def test_what_may_take_longer_is_not(name: str) -> None:
    """A process that can be killed decodes it."""
    assert not ordinary(UNUSUAL[name]())


def test_more_pixels_than_allowed_are_refused_before_anything_is_opened() -> None:
    for photo in (bombs.jpeg(64, 65), bombs.png(64, 65)):
        assert is_ordinary(photo, max_pixels=64 * 65)
        with pytest.raises(ImageTooLarge, match="64×65 pixels, more than 4159"):
            is_ordinary(photo, max_pixels=64 * 65 - 1)


def test_a_directory_that_lies_nowhere_is_none() -> None:
    """A BigTIFF's place has 64 bits, which is more than any file has bytes."""
    for place in (1 << 20, (1 << 63) - 1, (1 << 64) - 1):
        assert first_directory(b"II+\0\x08\0\0\0" + place.to_bytes(8, "little")) is None


@pytest.mark.parametrize("content", [b"GIF", b"<html>", b"%PDF-1.7", bytes(100), b"\x00\x00\x01\x00"])
def test_what_no_reader_takes_on_is_known(content: bytes) -> None:
    assert not may_be_photo(content)


# Hostile and real files


@pytest.mark.slow
@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF"])
def test_damage_of_any_kind_is_looked_at_without_a_failure(portrait: Image.Image, form: str) -> None:
    """Cut anywhere, and with bytes changed anywhere: at most it is refused."""
    whole, chance = encode(portrait, form), random.Random(1)
    damaged = [whole[:end] for end in range(min(len(whole), 600))]
    for _ in range(400):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(min(len(changed), 400))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        damaged.append(bytes(changed))
    for photo in damaged:
        with suppress(InvalidImage):
            ordinary(photo)


@pytest.mark.slow
def test_no_real_photo_is_implausible(shared: Path) -> None:
    """Of people's photos and of the odd ones that fell short once."""
    for folder in (shared / "faces" / "photos", shared / "cases" / "photos"):
        photos = [path for path in folder.rglob("*") if path.is_file()]
        assert photos
        for path in photos:
            try:
                ordinary(path.read_bytes())
            except ImplausibleImage as error:
                pytest.fail(f"{path.name}: {error}")
            except InvalidImage:
                pass  # too many pixels, or nothing in it


def test_segments_between_scans_are_counted() -> None:
    """A progressive photo has tables between its scans."""
    found = jpeg.walk(bombs.jpeg(progressive=True))
    assert (found.whole, found.size, found.scans) == (True, (1600, 1200), 10)
