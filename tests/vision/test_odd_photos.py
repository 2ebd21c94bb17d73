"""Photos that programs write oddly and people see whole are read; and what is said about them stays out of the log."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from service.errors import InvalidImage, UnsupportedFormat
from service.settings import Settings
from service.timings import Timings
from service.values import Detection
from service.vision.detector import Detector
from service.vision.images import FORMATS, accept, decode, readable_formats
from service.vision.preparation import Limits, Preparation, Prepared
from tests.vision.test_images import ROOT, apart, as_rgb, broken_exif, encode, exif

MAX_BYTES, MAX_PIXELS = 20 * 2**20, 50_000_000
PNG = b"\x89PNG\r\n\x1a\n"


def read(photo: bytes) -> NDArray[np.uint8]:
    """The decoded pixels, (height, width, 3)."""
    return np.asarray(decode(photo, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, formats=readable_formats()))


def chunk(kind: bytes, content: bytes, *, checksum: int | None = None) -> bytes:
    """One of a PNG; its checksum is right unless it is given."""
    sum_of = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_of)


def with_chunks(png: bytes, first: bytes = b"", last: bytes = b"") -> bytes:
    """A PNG with more chunks, right behind its header and right before its end."""
    header, end = len(PNG) + 25, len(png) - 12
    return png[:header] + first + png[header:end] + last + png[end:]


HUGE = zlib.compress(bytes(3 * 2**20))
"""Three megabytes that compress to three kilobytes."""

ODD_CHUNKS = {
    "large compressed text": chunk(b"zTXt", b"Comment\0\0" + HUGE),
    "large international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + HUGE),
    "large text": chunk(b"tEXt", b"Comment\0" + b"x" * 3 * 2**20),
    "large colour profile": chunk(b"iCCP", b"profile\0\0" + HUGE),
    "large EXIF in a text": chunk(b"zTXt", b"Raw profile type exif\0\0" + HUGE),
    "empty XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
    "broken compression": chunk(b"zTXt", b"Comment\0\0" + HUGE[:20]),
    "wrong checksum": chunk(b"tEXt", b"Comment\0hello", checksum=1),
}


RATIONAL_TEXT = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\2" + struct.pack(">HHII", 0x010E, 5, 1, 38) + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
) + struct.pack(">III", 0, 3, 2)
"""A description that is a fraction, and the note that the photo be turned."""


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_that_can_not_be_written_again_does_not_spoil_a_photo(portrait: Image.Image, form: str) -> None:
    """Nor its orientation: nothing is ever written again."""
    lying = portrait.transpose(Image.Transpose.ROTATE_90)
    assert apart(read(encode(lying, form, exif=RATIONAL_TEXT, quality=95)), np.asarray(portrait)) < 5


class TestPng:
    @pytest.mark.parametrize("name", ODD_CHUNKS)
    def test_texts_that_can_not_be_read_do_not_spoil_a_photo(self, portrait: Image.Image, name: str) -> None:
        """Wherever they stand."""
        plain, odd = encode(portrait, "PNG"), ODD_CHUNKS[name]
        for photo in (with_chunks(plain, first=odd), with_chunks(plain, last=odd)):
            assert apart(read(photo), np.asarray(portrait)) == 0

    def test_a_hundred_large_texts_do_not_spoil_a_photo(self, portrait: Image.Image) -> None:
        """Each within the limit of one, together beyond that of all."""
        texts = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000))) * 100
        assert apart(read(with_chunks(encode(portrait, "PNG"), first=texts)), np.asarray(portrait)) == 0

    def test_the_photo_stays_upright_without_its_texts(self, portrait: Image.Image) -> None:
        turned = encode(portrait.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
        photo = with_chunks(turned, last=ODD_CHUNKS["large compressed text"])
        assert apart(read(photo), np.asarray(portrait)) == 0

    def test_an_orientation_in_xmp_counts_too(self, portrait: Image.Image) -> None:
        """Also beside a text that can't be read."""
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
        turned = encode(portrait.transpose(Image.Transpose.ROTATE_90), "PNG")
        assert apart(read(with_chunks(turned, first=text)), np.asarray(portrait)) == 0
        both = with_chunks(turned, first=text + ODD_CHUNKS["large compressed text"])
        assert apart(read(both), np.asarray(portrait)) == 0

    def test_damaged_pixels_are_refused_all_the_same(self, portrait: Image.Image) -> None:
        photo = with_chunks(encode(portrait, "PNG"), first=ODD_CHUNKS["large compressed text"])
        with pytest.raises(InvalidImage, match="send it again"):
            read(photo[:-200])


class TestJpegWithoutItsEnd:
    @pytest.mark.parametrize("progressive", [True, False])
    @pytest.mark.parametrize("tail", [b"", b"\xff", bytes(100)], ids=["nothing", "half the marker", "zeros"])
    @pytest.mark.parametrize("reduction", [1, 4])
    def test_it_is_read(self, portrait: Image.Image, tail: bytes, *, progressive: bool, reduction: int) -> None:
        large = portrait.resize((1200, 900))
        photo = encode(large, "JPEG", progressive=progressive, quality=90)
        assert photo.endswith(b"\xff\xd9")
        wanted = accept(photo, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).decode(reduction)
        found = accept(photo[:-2] + tail, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).decode(reduction)
        assert apart(np.asarray(found), np.asarray(wanted)) == 0

    @pytest.mark.parametrize("share", [0.2, 0.4, 0.5, 0.8, 0.95, 0.99, 0.999])
    @pytest.mark.parametrize("progressive", [True, False])
    def test_one_whose_pixels_are_cut_short_is_refused(
        self, portrait: Image.Image, share: float, *, progressive: bool
    ) -> None:
        """Never filled up: not even where only the finest of a progressive one's scans is missing in part."""
        photo = encode(portrait.resize((1200, 900)), "JPEG", progressive=progressive, quality=90)
        with pytest.raises(InvalidImage, match=r"cut short; send it again\."):
            read(photo[: int(len(photo) * share)])


class TestDepth:
    @pytest.mark.parametrize("bits", [10, 12, 14, 16])
    @pytest.mark.parametrize("form", ["PNG", "TIFF"])
    def test_grey_samples_are_read_on_the_scale_that_they_use(
        self, grey: NDArray[np.uint8], form: str, bits: int
    ) -> None:
        """Twelve bits of a sensor in a file of sixteen are no dark photo."""
        brightest = 2**bits - 1
        deep = np.rint(grey / grey.max() * brightest).astype(np.uint16)
        assert apart(read(encode(Image.fromarray(deep), form)), as_rgb(np.rint(deep / brightest * 255))) < 0.1

    @pytest.mark.parametrize("bits", [10, 12, 14, 16])
    @pytest.mark.parametrize("form", [".png", ".tiff"])
    @pytest.mark.parametrize("opaque", [True, False])
    def test_so_are_colours(self, pixels: NDArray[np.uint8], form: str, bits: int, *, opaque: bool) -> None:
        """With transparency, too, which may use all bits."""
        brightest = 2**bits - 1
        deep = np.rint(pixels / pixels.max() * brightest).astype(np.uint16)
        stored = (
            deep[:, :, ::-1] if opaque else np.dstack([deep[:, :, ::-1], np.full(deep.shape[:2], 65535, np.uint16)])
        )
        whole, photo = cv2.imencode(form, stored)
        assert whole
        assert apart(read(photo.tobytes()), np.rint(deep / brightest * 255).astype(np.uint8)) < 0.6

    def test_a_deep_photo_is_turned_and_reduced(self, portrait: Image.Image) -> None:
        large = np.asarray(portrait.resize((1200, 900)))
        whole, photo = cv2.imencode(".png", large[:, :, ::-1].astype(np.uint16) * 16)
        assert whole
        turned = with_chunks(photo.tobytes(), first=chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")))
        reduced = accept(turned, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).decode(4)
        assert reduced.size == (225, 300)
        wanted = Image.fromarray(large).transpose(Image.Transpose.ROTATE_270).reduce(4)
        assert apart(np.asarray(reduced), np.asarray(wanted)) < 1

    def test_a_black_photo_stays_black(self) -> None:
        assert read(encode(Image.fromarray(np.zeros((9, 12), np.uint16)), "PNG")).max() == 0


class TestExif:
    @broken_exif
    @pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
    def test_exif_that_can_not_be_written_again_does_not_matter(self, portrait: Image.Image, form: str) -> None:
        """A camera's model as a fraction, with an orientation that needs turning."""
        entries = [(0x0110, 5, 1, 50), (0x0112, 3, 1, 6), (0x010E, 5, 1, 50), (0x8298, 5, 1, 50)]
        block = b"II*\0" + struct.pack("<IH", 8, len(entries))
        block += b"".join(
            struct.pack("<HHI", tag, kind, count) + struct.pack("<I", value)
            for tag, kind, count, value in sorted(entries)
        )
        block = (block + bytes(4)).ljust(50, b"\0") + struct.pack("<II", 1, 3) + bytes(64)
        stored = portrait.transpose(Image.Transpose.ROTATE_90)
        if form == "TIFF":
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            tags.tagtype[0x0110] = 5
            tags[0x0110] = TiffImagePlugin.IFDRational(1, 3)
            tags[0x0112] = 6
            photo = encode(stored, form, tiffinfo=tags)
        else:
            photo = encode(stored, form, exif=b"Exif\0\0" + block, quality=95)
        assert apart(read(photo), np.asarray(portrait)) < 5


class TestHeic:
    @pytest.fixture
    def turned(self) -> bytes:
        """The portrait as a phone held upright stores it: lying, with the note that it be turned."""
        pytest.importorskip("pi_heif", reason="needs pi-heif")
        return (Path(__file__).parent / "heic" / "turned.heic").read_bytes()

    def test_a_phones_photo_is_read_upright(self, turned: bytes, pixels: NDArray[np.uint8]) -> None:
        assert apart(read(turned), pixels) < 6

    def test_its_size_is_known_before_it_is_decoded(self, turned: bytes) -> None:
        assert accept(turned, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, formats=readable_formats()).size == (120, 90)
        with pytest.raises(InvalidImage, match="120×90 pixels, more than 10799"):
            accept(turned, max_bytes=MAX_BYTES, max_pixels=120 * 90 - 1, formats=readable_formats())

    def test_one_cut_short_is_refused(self, turned: bytes) -> None:
        for share in (0.01, 0.05, 0.3, 0.6, 0.9):
            with pytest.raises(InvalidImage, match="damaged"):
                read(turned[: int(len(turned) * share)])

    def test_where_it_is_not_read_it_is_named(self, turned: bytes) -> None:
        with pytest.raises(UnsupportedFormat, match=r"none of JPEG, .*, but a HEIC photo; convert it to JPEG\."):
            decode(turned, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, formats=FORMATS)


@pytest.mark.process
def test_nothing_of_what_libraries_say_reaches_standard_error(tmp_path: Path, portrait: Image.Image) -> None:
    """Neither Pillow's warnings nor libtiff's lines, at any level of the log."""
    tiff = encode(portrait, "TIFF", compression="tiff_adobe_deflate")
    broken = bytearray(tiff)
    broken[20:200] = bytes(range(180))
    (tmp_path / "broken.tif").write_bytes(broken)
    (tmp_path / "short.tif").write_bytes(encode(portrait, "TIFF", compression="tiff_lzw")[:-1000])
    (tmp_path / "exif.jpg").write_bytes(
        encode(portrait, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)
    )
    script = (
        "import logging, sys; from pathlib import Path\n"
        "from service.errors import InvalidImage; from service.logs import configure\n"
        "from service.vision.images import decode\n"
        "configure('text', 'DEBUG', logging.StreamHandler())\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        decode(path.read_bytes(), max_bytes=10**6, max_pixels=10**6)\n"
        "        print(path.name, 'read')\n"
        "    except InvalidImage as error:\n"
        "        print(path.name, error.code)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["broken.tif invalid_image", "exif.jpg read", "short.tif invalid_image"]


def prepare(detector: Detector, photo: bytes) -> Prepared:
    """All of a photo's faces of which a service is sure, found with default settings."""
    settings = Settings()

    def sure(found: list[Detection], _: tuple[int, int]) -> list[Detection]:
        return [each for each in found if each.score >= settings.min_score]

    return Preparation(detector, Limits.of(settings)).prepare(photo, sure, Timings())


@pytest.mark.slow
class TestFaces:
    def test_a_small_face_in_a_very_wide_photo_is_found(self, by_default: Detector, photos: Path) -> None:
        """Though it is a hundredth of the height of a usual photo so wide."""
        wide = Image.new("RGB", (16_000, 400), "grey")
        face = Image.open(photos / "obama.jpg").convert("RGB")
        face.thumbnail((160, 160))
        wide.paste(face, (12_000, 120))
        found = prepare(by_default, encode(wide, "JPEG", quality=90))
        assert len(found.detections) == 1
        box = found.detections[0].box
        assert 12_000 < box.left < box.right < 12_160

    @pytest.mark.parametrize(
        "name",
        ["png_big_ztxt.png", "progressive_no_eoi.jpg", "gray12in16.png", "wide20000x400.jpg", "rot90_noexif.jpg"],
    )
    def test_the_face_of_a_photo_that_fell_short_is_found(self, by_default: Detector, shared: Path, name: str) -> None:
        photo = shared / "cases" / "photos" / name
        if not photo.exists():
            pytest.skip("needs the folder ../shared (cases)")
        found = prepare(by_default, photo.read_bytes())
        assert len(found.detections) == 1
        assert found.rotation == (90 if name.startswith("rot90") else 0)

    def test_a_motorcycle_is_no_face(self, by_default: Detector, shared: Path) -> None:
        photo = shared / "cases" / "photos" / "motorcycle_left.png"
        if not photo.exists():
            pytest.skip("needs the folder ../shared (cases)")
        assert prepare(by_default, photo.read_bytes()).detections == []
