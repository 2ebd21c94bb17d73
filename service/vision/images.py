"""Bytes of any origin to an upright RGB picture, and a picture to the small JPEG that is kept."""

from __future__ import annotations

import base64
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from service.errors import ImageTooLarge, InvalidImage, UnsupportedFormat
from service.values import Box, Rgb
from service.vision.cropping import CLOCKWISE, crop
from service.vision.file_kinds import is_photo, refusal
from service.vision.messages import silence
from service.vision.pixel_costs import require_affordable
from service.vision.repairs import repaired
from service.vision.samples import deep_colours, to_8_bits, with_low_bytes

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF")
"""What is read, under Pillow's names; JPEG's reader opens MPO too, which many phones write as .jpg. No others: some of
Pillow's readers start programs."""

JPEG_QUALITY = 85

PANORAMA = 2
"""A photo with a longer side beyond so many shorter ones is a panorama. Its faces are small beside its length."""

MAX_AREA = 2
"""How large a panorama is searched, in squares of the longer side that usual photos are searched with."""

_ORIENTATION = 0x0112
"""EXIF's tag for how the camera was held."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a photo upright, by its orientation."""

# What the readers raise on damaged bytes, beside OSError.
_DAMAGED = (
    *(OSError, ValueError, SyntaxError, TypeError, LookupError, EOFError, RuntimeError, AttributeError),
    *(AssertionError, ArithmeticError, struct.error, zlib.error),
)

# Pillow's own limits: a warning at 89 million pixels, an error at 179 million. decode compares with a setting instead,
# so the warning is silenced; it is raised all the same where every warning is made an error.
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
silence()

Answer = TypeVar("Answer")


def readable_formats() -> tuple[str, ...]:
    """FORMATS, and HEIF (the HEIC of phones) where pi-heif is installed; some platforms have no build of it."""
    if find_spec("pi_heif") is None:
        return FORMATS
    import_module("pi_heif").register_heif_opener()
    return (*FORMATS, "HEIF")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo's bytes, within the limits and not yet decoded."""

    content: bytes
    formats: tuple[str, ...]
    size: tuple[int, int]
    """Width and height in pixels as the header has them, before the photo is turned upright."""

    @property
    def longer_side(self) -> int:
        """In pixels."""
        return max(self.size)

    def reduction_to(self, longer_side: int) -> int:
        """By how much to reduce the photo to have at most so many pixels on the longer side: 1, 2, 4 or 8 times.

        Of a panorama PANORAMA times the shorter side counts, so that its faces keep their pixels; and its area, which
        is at most MAX_AREA times that of a square with such a side.
        """
        longer, shorter = max(self.size), min(self.size)
        side = min(longer, shorter * PANORAMA)
        area = longer * shorter

        def fits(times: int) -> bool:
            return side <= longer_side * times and area <= MAX_AREA * (longer_side * times) ** 2

        return next((times for times in (1, 2, 4) if fits(times)), 8)

    def decode(self, reduction: int = 1) -> Image.Image:
        """The picture in mode RGB, upright by its EXIF orientation; the first frame of an animation.

        A reduced JPEG is decoded at that scale to begin with, in a fraction of the time. Raises InvalidImage for a
        damaged file, ImageTooLarge for one that doesn't fit into memory.
        """
        return _repaired_if_damaged(self.content, lambda content: _decode(content, self.formats, reduction))

    def crops(self, boxes: Sequence[Box], reduction: int, rotation: int) -> list[Rgb]:
        """The faces in these boxes of the picture that `decode` gives; raises what that raises.

        They are in its pixels once it has been turned clockwise by `rotation` degrees, which the whole one never is.
        """
        return _repaired_if_damaged(self.content, lambda each: _crops(each, self.formats, reduction, boxes, rotation))


def accept(photo: bytes, *, max_bytes: int, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Photo:
    """Check a photo against the limits by its header.

    Raises ImageTooLarge beyond `max_bytes`, `max_pixels` or what such pixels may cost, UnsupportedFormat for what is
    not in `formats`, InvalidImage for an empty or damaged file.
    """
    require_bytes(photo, max_bytes)
    opened = _repaired_if_damaged(photo, lambda content: _open(content, formats))
    require_affordable(opened, max_pixels)
    return Photo(photo, formats, opened.size)


def require_bytes(photo: bytes, max_bytes: int) -> None:
    """Raises InvalidImage for no bytes at all, ImageTooLarge for too many."""
    if not photo:
        raise InvalidImage("The image is empty; send the bytes of a photo.")
    if len(photo) > max_bytes:
        raise ImageTooLarge(f"The image has more than {max_bytes} bytes; send a smaller one.")


def upright_size(size: tuple[int, int], decoded: Image.Image) -> tuple[int, int]:
    """Width and height at full size, upright, of a photo whose head has `size` and which was decoded to a picture."""
    width, height = size
    turned = (decoded.width > decoded.height) != (width > height)
    return (height, width) if turned else (width, height)


def decode(photo: bytes, *, max_bytes: int, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """A photo at full size, with the errors of `accept` and of Photo.decode."""
    return accept(photo, max_bytes=max_bytes, max_pixels=max_pixels, formats=formats).decode()


def _repaired_if_damaged(photo: bytes, read: Callable[[bytes], Answer]) -> Answer:
    """What `read` makes of the photo, or else of the photo as it can be repaired. Raises what `read` raises."""
    try:
        return read(photo)
    except (ImageTooLarge, UnsupportedFormat):
        raise
    except InvalidImage:
        whole = repaired(photo)
        if whole is None:
            raise
    return read(whole)


def _open(photo: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(photo), formats=formats)
    except UnidentifiedImageError as error:
        if is_photo(photo, formats):
            raise InvalidImage("The image is damaged; send it again.") from error
        raise UnsupportedFormat(refusal(photo, formats)) from None
    except _BOMB:
        raise ImageTooLarge("The image has far too many pixels; send a smaller one.") from None
    except _DAMAGED as error:
        raise InvalidImage("The image is damaged; send it again.") from error


def _decode(content: bytes, formats: tuple[str, ...], reduction: int) -> Image.Image:
    """As Photo.decode does, of bytes that need no repair."""
    with _damage_told():
        picture, turn = _lying(content, formats, reduction)
        return picture if turn is None else picture.transpose(turn)


def _crops(content: bytes, formats: tuple[str, ...], reduction: int, boxes: Sequence[Box], rotation: int) -> list[Rgb]:
    """As Photo.crops does, likewise."""
    with _damage_told():
        picture, turn = _lying(content, formats, reduction)
        turns = [each for each in (turn, CLOCKWISE.get(rotation)) if each is not None]
        return [crop(picture, box, turns) for box in boxes]


def _lying(content: bytes, formats: tuple[str, ...], reduction: int) -> tuple[Image.Image, Image.Transpose | None]:
    """The picture in mode RGB as it lies in the file, and what turns it upright; raises whatever readers raise."""
    picture = _open(content, formats)
    size = picture.size
    if reduction > 1:
        picture.draft(picture.mode, (max(size[0] // reduction, 1), max(size[1] // reduction, 1)))
    deep = deep_colours(picture)
    picture.load()
    turn = _UPRIGHT.get(_orientation(picture))
    if deep:
        picture = with_low_bytes(picture, _open(content, formats))
    picture = to_8_bits(picture)
    remaining = reduction // round(max(size) / max(picture.size))  # what no decoder did
    if remaining > 1:
        picture = picture.reduce(remaining)
    return picture if picture.mode == "RGB" else picture.convert("RGB"), turn  # convert always copies


@contextmanager
def _damage_told() -> Iterator[None]:
    """What readers raise within the block, in our own words."""
    try:
        yield
    except MemoryError:
        raise ImageTooLarge("The image does not fit into memory; send a smaller one.") from None
    except _BOMB:
        raise ImageTooLarge("The image has far too many pixels; send a smaller one.") from None
    except _DAMAGED as error:
        raise InvalidImage("The image is damaged or cut short; send it again.") from error


def _orientation(picture: Image.Image) -> int:
    """EXIF's; 1 for a photo without EXIF, or with one that can't be read: the pixels count all the same."""
    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - cameras and programs write anything there, and Pillow raises anything on it
        return 1
    return orientation if isinstance(orientation, int) else 1


def to_jpeg(picture: Image.Image, longer_side: int) -> bytes:
    """A JPEG of an RGB picture without metadata, made smaller (never larger) to `longer_side` pixels."""
    small = Image.new("RGB", picture.size) if 0 in picture.size else picture
    if max(small.size) > longer_side:
        small = small.copy()
        small.thumbnail((longer_side, longer_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=JPEG_QUALITY, exif=b"", icc_profile=None, comment=b"")
    return out.getvalue()


def to_base64(jpeg: bytes) -> str:
    """As the device contract and the gallery's payload carry a picture."""
    return base64.b64encode(jpeg).decode("ascii")
