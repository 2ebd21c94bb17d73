"""What becomes of the bytes that people send: upright RGB, whatever the format, or one clear refusal."""

from __future__ import annotations

import base64
import io
import math
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.errors import ImageTooLarge, InvalidImage, UnsupportedFormat
from service.vision.images import FORMATS, Photo, accept, decode, to_base64, to_jpeg

MAX_BYTES, MAX_PIXELS = 10 * 2**20, 50_000_000
ORIENTATION = 0x0112
"""EXIF's tag."""
ROOT = Path(__file__).parents[2]

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held so has the upright picture before it: EXIF's orientation asks for the way back."""

broken_exif = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
"""Pillow warns of what it finds in broken metadata."""


def read(photo: bytes, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The decoded pixels, (height, width, 3)."""
    picture = decode(photo, max_bytes=max_bytes, max_pixels=max_pixels)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = orientation
    return made


def apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean difference of two pictures' values; about 80 for unrelated ones."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(float) - b).mean())


def as_rgb(grey: NDArray[Any]) -> NDArray[np.uint8]:
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("WEBP", {"lossless": True, "exact": True}, 0),
        ("JPEG", {"quality": 95}, 3),
        ("AVIF", {"quality": 95}, 4),
    ],
)
def test_every_exif_orientation_gives_the_upright_photo(
    portrait: Image.Image,
    pixels: NDArray[np.uint8],
    orientation: int,
    form: str,
    options: dict[str, Any],
    tolerance: float,
) -> None:
    """As a camera stores it, turned or mirrored, in every format that carries EXIF."""
    stored = portrait.transpose(TURNS[orientation]) if orientation in TURNS else portrait
    photo = encode(stored, form, exif=exif(orientation), **options)
    assert apart(read(photo), pixels) <= tolerance


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("RGBA", "PNG"),
        ("I;16", "PNG"),
        ("I;16", "TIFF"),
        ("F", "TIFF"),
    ],
)
def test_photos_without_plain_colours_are_turned_as_well(portrait: Image.Image, mode: str, form: str) -> None:
    """The orientation survives the change of mode: turned or not, the same pixels."""
    picture = portrait.convert("L").convert(mode) if mode == "I;16" else portrait.convert(mode)
    turned = read(encode(picture, form, exif=exif(8)))
    upright = read(encode(picture, form))
    assert apart(turned, np.rot90(upright)) == 0


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_changes_nothing(portrait: Image.Image, orientation: int) -> None:
    plain = read(encode(portrait, "JPEG"))
    assert apart(read(encode(portrait, "JPEG", exif=exif(orientation))), plain) == 0


@broken_exif
@pytest.mark.parametrize(
    "block",
    [
        b"Exif\x00\x00" + b"garbage that is no TIFF header",
        b"Exif\x00\x00",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\xff" * 40,
        b"Exif\x00\x00II*\x00\xff\xff\xff\x7f",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x02\x00\x04\x00\x00\x00six\x00" + bytes(4),
    ],
    ids=["garbage", "empty", "wild entries", "wild offset", "a word for the orientation"],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_spoil_a_photo(portrait: Image.Image, form: str, block: bytes) -> None:
    assert apart(read(encode(portrait, form, exif=block)), read(encode(portrait, form))) == 0


@broken_exif
def test_broken_exif_does_not_spoil_a_16_bit_photo(portrait: Image.Image, grey: NDArray[np.uint8]) -> None:
    photo = encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG", exif=b"Exif\x00\x00garbage")
    assert apart(read(photo), as_rgb(grey)) == 0


# Modes


def test_a_grey_photo_has_three_equal_channels(grey: NDArray[np.uint8]) -> None:
    assert apart(read(encode(Image.fromarray(grey), "PNG")), as_rgb(grey)) == 0
    assert apart(read(encode(Image.fromarray(grey), "JPEG")), as_rgb(grey)) < 3


@pytest.mark.parametrize("opacity", [0, 128, 255])
def test_transparency_is_dropped_and_the_colours_beneath_stay(
    portrait: Image.Image, pixels: NDArray[np.uint8], grey: NDArray[np.uint8], opacity: int
) -> None:
    """A face cut out of its background is still a face."""
    alpha = Image.new("L", portrait.size, opacity)
    colour, light = portrait.copy(), Image.fromarray(grey)
    colour.putalpha(alpha)
    light.putalpha(alpha)
    assert (colour.mode, light.mode) == ("RGBA", "LA")
    assert apart(read(encode(colour, "PNG")), pixels) == 0
    assert apart(read(encode(light, "PNG")), as_rgb(grey)) == 0


EACH = bytes(range(256))
"""An opacity for each colour of a palette."""


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("PNG", {"transparency": 7}),
        ("PNG", {"transparency": EACH}),
        ("GIF", {}),
        ("GIF", {"transparency": 7}),
        ("TIFF", {}),
    ],
    ids=["png", "png, one transparent", "png, all", "gif", "gif, one transparent", "tiff"],
)
def test_a_palette_photo_has_the_colours_of_its_palette(
    portrait: Image.Image, pixels: NDArray[np.uint8], form: str, options: dict[str, Any]
) -> None:
    """With transparent colours or without."""
    few = portrait.quantize(256)
    decoded = read(encode(few, form, **options))
    assert apart(decoded, np.asarray(few.convert("RGB"))) == 0
    assert apart(decoded, pixels) < 8


def test_a_one_bit_photo_is_black_and_white(portrait: Image.Image) -> None:
    dithered = portrait.convert("1")
    assert apart(read(encode(dithered, "PNG")), as_rgb(np.asarray(dithered) * 255)) == 0


@pytest.mark.parametrize(("order", "form"), [("<u2", "PNG"), ("<u2", "TIFF"), (">u2", "TIFF")])
def test_a_16_bit_grey_photo_keeps_its_brightness(grey: NDArray[np.uint8], order: str, form: str) -> None:
    """Not cut off at 255, which would make it white."""
    deep = Image.fromarray((grey.astype(np.uint16) * 257).astype(order))
    assert deep.mode.startswith("I;16")
    assert apart(read(encode(deep, form)), as_rgb(grey)) == 0


@pytest.mark.parametrize("form", [".png", ".tiff"])
def test_a_16_bit_colour_photo_keeps_its_brightness(pixels: NDArray[np.uint8], form: str) -> None:
    whole, photo = cv2.imencode(form, pixels[:, :, ::-1].astype(np.uint16) * 257)
    assert whole
    assert apart(read(photo.tobytes()), pixels) == 0


@pytest.mark.parametrize(
    ("mode", "low", "high"), [("I", 0, 255), ("I", -70_000, 2_000_000_000), ("F", 0, 1), ("F", -3e30, 3e30)]
)
def test_32_bit_samples_are_stretched_to_the_full_range(
    grey: NDArray[np.uint8], mode: str, low: float, high: float
) -> None:
    """They have no scale of their own: the darkest becomes 0, the brightest 255."""
    span = (grey - float(grey.min())) / float(np.ptp(grey))
    wide = (low + span * (high - low)).astype(np.int32 if mode == "I" else np.float32)
    picture = Image.fromarray(wide)
    assert picture.mode == mode
    assert apart(read(encode(picture, "TIFF")), as_rgb(np.rint(span * 255))) < 0.6


def test_float_samples_that_are_no_numbers_do_not_spoil_the_rest() -> None:
    wild = np.array([[0, 1, np.nan], [np.inf, -np.inf, 0.5]], dtype=np.float32)
    decoded = read(encode(Image.fromarray(wild), "TIFF"))
    assert decoded[:, :, 0].tolist() == [[0, 255, 0], [255, 0, 128]]


@pytest.mark.parametrize("value", [0.0, 7.5, np.nan, np.inf])
def test_a_uniform_32_bit_picture_is_decoded(value: float) -> None:
    picture = Image.fromarray(np.full((3, 4), value, dtype=np.float32))
    assert len(np.unique(read(encode(picture, "TIFF")))) == 1


def test_a_printers_jpeg_has_the_colours_of_the_photo(portrait: Image.Image, pixels: NDArray[np.uint8]) -> None:
    """CMYK, not shown as a negative."""
    assert apart(read(encode(portrait.convert("CMYK"), "JPEG", quality=95)), pixels) < 4


# Formats


@pytest.mark.parametrize(
    ("form", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 3),
        ("JPEG", {"quality": 95, "progressive": True}, 3),
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 4),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 4),
        ("AVIF", {"quality": 95}, 4),
        ("GIF", {}, 8),
    ],
)
def test_the_formats_that_cameras_and_programs_write_are_read(
    portrait: Image.Image, pixels: NDArray[np.uint8], form: str, options: dict[str, Any], tolerance: float
) -> None:
    assert apart(read(encode(portrait, form, **options)), pixels) <= tolerance


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_of_an_animation_the_first_frame_counts(portrait: Image.Image, form: str, options: dict[str, Any]) -> None:
    rest = [portrait.transpose(Image.Transpose.ROTATE_180), Image.new("RGB", portrait.size, "green")]
    moving = encode(portrait, form, save_all=True, append_images=rest, **options)
    assert getattr(Image.open(io.BytesIO(moving)), "n_frames", 1) == 3
    assert apart(read(moving), np.asarray(portrait)) < 8


def test_of_a_phones_mpo_the_first_picture_counts(portrait: Image.Image, pixels: NDArray[np.uint8]) -> None:
    """Phones write it as .jpg: the photo, then a depth map or the other eye's view."""
    other = Image.new("RGB", (12, 9), "green")
    photo = encode(portrait, "MPO", save_all=True, append_images=[other], quality=95, exif=exif(1))
    assert Image.open(io.BytesIO(photo)).format == "MPO"
    assert apart(read(photo), pixels) < 3


# Sizes and limits


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (10_000, 100), (100, 10_000)])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_tiny_and_long_pictures_keep_their_size(size: tuple[int, int], form: str) -> None:
    width, height = size
    assert read(encode(Image.new("RGB", size, "red"), form)).shape == (height, width, 3)


def test_more_bytes_than_allowed_are_refused_and_exactly_as_many_are_not(portrait: Image.Image) -> None:
    photo = encode(portrait, "PNG")
    assert read(photo, max_bytes=len(photo)).shape == (90, 120, 3)
    with pytest.raises(ImageTooLarge, match=f"more than {len(photo) - 1} bytes"):
        read(photo, max_bytes=len(photo) - 1)


def test_more_pixels_than_allowed_are_refused_and_exactly_as_many_are_not(portrait: Image.Image) -> None:
    photo = encode(portrait, "JPEG")
    assert read(photo, max_pixels=120 * 90).shape == (90, 120, 3)
    with pytest.raises(ImageTooLarge, match=r"120×90 pixels, more than 10799"):
        read(photo, max_pixels=120 * 90 - 1)


def png_of(width: int, height: int) -> bytes:
    """A PNG's header alone: there is nothing to decode."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IDAT"
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", 0)
        + end
        + struct.pack(">I", zlib.crc32(end))
    )


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG that claims another size in its frame header."""
    photo = bytearray(encode(Image.new("RGB", (8, 8)), "JPEG"))
    frame = photo.index(b"\xff\xc0")
    photo[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(photo)


def gif_of(width: int, height: int) -> bytes:
    """A GIF whose screen is 8×8 and whose first frame is larger."""
    photo = bytearray(encode(Image.new("L", (8, 8)), "GIF"))
    frame = photo.index(b"\x2c\x00\x00\x00\x00\x08\x00\x08\x00")
    photo[frame + 5 : frame + 9] = struct.pack("<HH", width, height)
    return bytes(photo)


def bmp_of(width: int, height: int) -> bytes:
    photo = bytearray(encode(Image.new("RGB", (8, 8)), "BMP"))
    photo[18:26] = struct.pack("<ii", width, height)
    return bytes(photo)


def tiff_of(width: int, height: int) -> bytes:
    photo = encode(Image.new("RGB", (8, 8)), "TIFF")
    tags = Image.open(io.BytesIO(photo)).tag_v2  # type: ignore[attr-defined]
    tags[256], tags[257] = width, height
    return photo[:8] + bytes(tags.tobytes(8))


@pytest.mark.parametrize("claim", [png_of, jpeg_of, gif_of, bmp_of, tiff_of])
@pytest.mark.parametrize(
    ("width", "height"), [(10_000, 5_001), (12_000, 10_000), (60_000, 60_000)], ids=["51 MP", "120 MP", "3,600 MP"]
)
def test_a_header_that_claims_too_many_pixels_is_refused_before_anything_is_decoded(
    claim: Callable[[int, int], bytes], width: int, height: int
) -> None:
    """Neither does Pillow warn (from 89 million pixels on) nor raise an error of its own (from 179 million on)."""
    photo = claim(width, height)
    assert len(photo) < 2000
    with pytest.raises(ImageTooLarge, match="pixels"):
        read(photo)


@pytest.mark.process
def test_pillows_warning_of_large_photos_is_not_printed(tmp_path: Path) -> None:
    """Nor does it stop a photo that the setting allows: this one fails for its missing pixels alone."""
    (tmp_path / "photo.png").write_bytes(png_of(12_000, 10_000))
    script = (
        "import sys; from pathlib import Path\n"
        "from service.errors import InvalidImage; from service.vision.images import decode\n"
        "try:\n"
        "    decode(Path(sys.argv[1]).read_bytes(), max_bytes=1000, max_pixels=120_000_000)\n"
        "except InvalidImage as error:\n"
        "    print(error.code)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "photo.png")]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("invalid_image\n", "")


# Reduced decoding


@pytest.mark.parametrize(
    ("longer_side", "reduction"),
    [(1, 1), (2400, 1), (2401, 2), (4800, 2), (4801, 4), (9600, 4), (9601, 8), (65_000, 8)],
)
def test_a_photo_is_reduced_as_little_as_will_do(longer_side: int, reduction: int) -> None:
    for share in (1, 0.75, 0.5):
        shorter = math.ceil(longer_side * share)
        assert Photo(b"", FORMATS, (longer_side, shorter)).reduction_to(2400) == reduction
        assert Photo(b"", FORMATS, (shorter, longer_side)).reduction_to(2400) == reduction


@pytest.mark.parametrize(
    ("size", "reduction"),
    [
        ((4801, 1200), 1),  # half as high, it would be reduced 4 times
        ((20_000, 400), 1),
        ((9600, 1200), 1),
        ((9601, 1200), 2),  # more area than two squares of 2400
        ((12_000, 4000), 4),
        ((41_000, 1200), 4),
        ((65_000, 1), 1),
    ],
)
def test_a_panorama_is_reduced_by_what_its_shorter_side_allows(size: tuple[int, int], reduction: int) -> None:
    """So that its faces keep their pixels, as far as its area allows."""
    width, height = size
    assert Photo(b"", FORMATS, (width, height)).reduction_to(2400) == reduction
    assert Photo(b"", FORMATS, (height, width)).reduction_to(2400) == reduction


@pytest.mark.slow
@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGB", "MPO"),
        ("RGB", "PNG"),
        ("P", "PNG"),
        ("I;16", "PNG"),
        ("RGB", "WEBP"),
        ("F", "TIFF"),
        ("P", "GIF"),
    ],
)
def test_a_reduced_photo_is_the_photo_at_that_size(portrait: Image.Image, mode: str, form: str, reduction: int) -> None:
    """Of odd sizes too, where the last row and column stand for fewer pixels."""
    large = portrait.resize((1203, 901), Image.Resampling.BICUBIC)
    large = large.convert("L").convert(mode) if mode == "I;16" else large.convert(mode)
    photo = encode(large, form)
    reduced = accept(photo, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).decode(reduction)
    assert reduced.mode == "RGB"
    assert (
        apart(
            np.asarray(reduced), np.asarray(decode(photo, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).reduce(reduction))
        )
        < 2
    )


@pytest.mark.slow
@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_reduced_photo_is_upright(portrait: Image.Image, form: str, orientation: int) -> None:
    large = portrait.resize((1200, 900), Image.Resampling.BICUBIC)
    photo = encode(large.transpose(TURNS[orientation]), form, exif=exif(orientation))
    reduced = accept(photo, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).decode(4)
    assert apart(np.asarray(reduced), np.asarray(large.reduce(4))) < 4


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (10_000, 5), (5, 10_000), (10_000, 1), (1, 10_000), (12_345, 67)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_long_thin_picture_can_be_reduced(size: tuple[int, int], form: str) -> None:
    """Down to one pixel, not to none."""
    photo = accept(encode(Image.new("RGB", size, "red"), form), max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)
    for reduction in (2, 4, 8):
        assert photo.decode(reduction).size == tuple(-(-side // reduction) for side in size)


# Refusals


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_photo_cut_short_is_refused(portrait: Image.Image, form: str, share: float) -> None:
    """Not filled up with grey."""
    photo = encode(portrait, form)
    with pytest.raises(InvalidImage, match=r"(damaged|cut short).*; send it again\."):
        read(photo[: int(len(photo) * share)])


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(InvalidImage, match="empty"):
        read(b"")


def test_what_is_no_photo_is_refused_with_the_formats_that_are_read() -> None:
    """EPS and other formats that Pillow hands to outside programs are never opened."""
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", b"P6\n1 1\n255\n\xff\x00\x00"):
        with pytest.raises(
            UnsupportedFormat, match=r"none of JPEG, PNG, BMP, GIF, TIFF, WEBP, AVIF, but a .*to JPEG\.$"
        ):
            read(content)


@broken_exif
@pytest.mark.parametrize(
    ("mode", "form", "options"),
    [
        ("RGB", "JPEG", {"exif": exif(6)}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {"exif": exif(6)}),
        ("P", "PNG", {"transparency": 0}),
        ("I;16", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "WEBP", {"exif": exif(6)}),
        ("RGB", "AVIF", {"exif": exif(6)}),
        ("RGB", "BMP", {}),
        ("RGB", "TIFF", {"exif": exif(6)}),
        ("F", "TIFF", {}),
    ],
)
def test_whatever_bytes_are_altered_the_answer_is_a_picture_or_a_refusal(
    portrait: Image.Image, mode: str, form: str, options: dict[str, Any]
) -> None:
    """No other error, for 300 damaged files of each kind."""
    source = portrait.convert("L") if mode == "I;16" else portrait
    whole = encode(source.resize((32, 24)).convert(mode), form, **options)
    chance = random.Random(f"{mode} {form}")
    refused = 0
    for _ in range(300):
        photo = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5])):
            # Headers stand mostly at the beginning, and TIFF's at the end.
            place = chance.choice([chance.randrange(len(photo)), chance.randrange(100), -1 - chance.randrange(100)])
            photo[place] = chance.choice([0, 255, chance.randrange(256)])
        try:
            read(bytes(photo), max_pixels=1_000_000)
        except InvalidImage:
            refused += 1
    assert 0 < refused < 300


# The picture that is kept


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((2000, 1000), (480, 240)),
        ((1000, 2000), (240, 480)),
        ((481, 300), (480, 299)),
        ((480, 480), (480, 480)),
        ((120, 90), (120, 90)),
        ((1, 1), (1, 1)),
        ((1, 500), (1, 480)),
        ((10_000, 100), (480, 5)),
        ((10_000, 1), (480, 1)),
    ],
)
def test_the_kept_picture_is_made_smaller_to_the_limit_and_never_larger(
    portrait: Image.Image, size: tuple[int, int], kept: tuple[int, int]
) -> None:
    kept_picture = Image.open(io.BytesIO(to_jpeg(portrait.resize(size), 480)))
    assert (kept_picture.format, kept_picture.mode, kept_picture.size) == ("JPEG", "RGB", kept)


def test_the_kept_picture_shows_what_the_photo_shows(portrait: Image.Image, pixels: NDArray[np.uint8]) -> None:
    assert apart(np.asarray(Image.open(io.BytesIO(to_jpeg(portrait, 480)))), pixels) < 5
    enlarged = portrait.resize((1200, 900), Image.Resampling.BICUBIC)
    assert apart(np.asarray(Image.open(io.BytesIO(to_jpeg(enlarged, 120)))), pixels) < 5
    assert enlarged.size == (1200, 900), "the photo itself stays as it was"


@pytest.mark.parametrize("name", ["obama.jpg", "biden.jpg", "rocket.jpg", "chelsea.png", "32bit.png"])
def test_the_kept_picture_carries_no_metadata(photos: Path, name: str) -> None:
    """Neither EXIF (where it was taken) nor colour profile, XMP, Photoshop's block or comment."""
    photo = (photos / name).read_bytes()
    before = Image.open(io.BytesIO(photo)).info
    assert {"exif", "icc_profile", "xmp", "comment"} & set(before)
    jpeg = to_jpeg(decode(photo, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS), 480)
    after = Image.open(io.BytesIO(jpeg)).info
    assert set(after) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi"}


def test_base64_is_the_standard_alphabet_on_one_line(portrait: Image.Image) -> None:
    jpeg = to_jpeg(portrait, 480)
    text = to_base64(jpeg)
    assert base64.b64decode(text, validate=True) == jpeg


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize(("side", "reduction"), [(640, 1), (320, 2), (160, 4), (80, 8), (10, 8)])
def test_a_photo_decodes_reduced_by_the_least_power_of_two_that_fits_a_side(
    photos: Path, form: str, side: int, reduction: int
) -> None:
    whole = Image.open(photos / "obama.jpg").resize((512, 640))
    stored = io.BytesIO()
    whole.save(stored, form)
    photo = accept(stored.getvalue(), max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)
    assert photo.longer_side == 640
    assert photo.reduction_to(side) == reduction
    assert photo.decode(reduction).size == (512 // reduction, 640 // reduction)


def test_a_reduced_photo_is_upright_by_its_exif(photos: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    stored = io.BytesIO()
    Image.open(photos / "obama.jpg").resize((600, 400)).save(stored, "JPEG", exif=exif)
    assert accept(stored.getvalue(), max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS).decode(2).size == (200, 300)
