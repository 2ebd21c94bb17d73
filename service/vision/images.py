"""Bytes of any origin to an upright RGB picture, and a picture to the small JPEG that is kept."""

from __future__ import annotations

import base64
import io
import struct
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from service.errors import ImageTooLarge, InvalidImage, UnsupportedFormat

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""What is read, under Pillow's names; JPEG's reader opens MPO too, which many phones write as .jpg. No others: some of
Pillow's readers start programs."""

JPEG_QUALITY = 85

# What Pillow's readers raise on damaged bytes, beside OSError.
_DAMAGED = (OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, struct.error, OverflowError)

# Pillow's own limits: a warning at 89 million pixels, an error at 179 million. decode compares with a setting instead,
# so the warning is silenced; it is raised all the same where every warning is made an error.
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def readable_formats() -> tuple[str, ...]:
    """FORMATS, and HEIF where pillow-heif is installed."""
    if find_spec("pillow_heif") is None:
        return FORMATS
    import_module("pillow_heif").register_heif_opener()
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

    def upright_size(self, decoded: Image.Image) -> tuple[int, int]:
        """Width and height at full size of the photo that was decoded to this picture, whatever its reduction."""
        width, height = self.size
        turned = (decoded.width > decoded.height) != (width > height)
        return (height, width) if turned else (width, height)

    def reduction_to(self, longer_side: int) -> int:
        """By how much to reduce the photo to have at most so many pixels on the longer side: 1, 2, 4 or 8 times."""
        return next((times for times in (1, 2, 4) if self.longer_side <= longer_side * times), 8)

    def decode(self, reduction: int = 1) -> Image.Image:
        """The picture in mode RGB, upright by its EXIF orientation; the first frame of an animation.

        A reduced JPEG is decoded at that scale to begin with, in a fraction of the time. Raises InvalidImage for a
        damaged file, ImageTooLarge for one that doesn't fit into memory.
        """
        picture = _open(self.content, self.formats)
        size = picture.size
        try:
            if reduction > 1:
                picture.draft(picture.mode, (max(size[0] // reduction, 1), max(size[1] // reduction, 1)))
            picture.load()
            picture = _to_rgb(picture)
            remaining = reduction // round(max(size) / max(picture.size))  # what no decoder did
            return _upright(picture.reduce(remaining) if remaining > 1 else picture)
        except MemoryError:
            raise ImageTooLarge("The image does not fit into memory; send a smaller one.") from None
        except _BOMB:
            raise ImageTooLarge("The image has far too many pixels; send a smaller one.") from None
        except _DAMAGED as error:
            raise InvalidImage("The image is damaged or cut short; send it again.") from error


def accept(photo: bytes, *, max_bytes: int, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Photo:
    """Check a photo against the limits by its header.

    Raises ImageTooLarge beyond `max_bytes` or `max_pixels`, UnsupportedFormat for what is not in `formats`,
    InvalidImage for an empty or damaged file.
    """
    if not photo:
        raise InvalidImage("The image is empty; send the bytes of a photo.")
    if len(photo) > max_bytes:
        raise ImageTooLarge(f"The image has more than {max_bytes} bytes; send a smaller one.")
    width, height = _open(photo, formats).size
    if width * height > max_pixels:
        raise ImageTooLarge(f"The image has {width}×{height} pixels, more than {max_pixels}; send a smaller one.")
    return Photo(photo, formats, (width, height))


def decode(photo: bytes, *, max_bytes: int, max_pixels: int, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """A photo at full size, with the errors of `accept` and of Photo.decode."""
    return accept(photo, max_bytes=max_bytes, max_pixels=max_pixels, formats=formats).decode()


def _open(photo: bytes, formats: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(photo), formats=formats)
    except UnidentifiedImageError:
        raise UnsupportedFormat(f"The image is none of {', '.join(formats)}; convert it to JPEG.") from None
    except _BOMB:
        raise ImageTooLarge("The image has far too many pixels; send a smaller one.") from None
    except _DAMAGED as error:
        raise InvalidImage("The image is damaged; send it again.") from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Bring any mode to 8-bit RGB. Transparency is dropped, not blended: the colours beneath are the photo's."""
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith(("I", "F")):
        exif = picture.info.get("exif", b"")
        picture = _to_grey(picture)
        picture.info["exif"] = exif  # for _upright
    elif picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # straight to RGB, Pillow would warn
    return picture.convert("RGB")


def _to_grey(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float samples to 8 bits. 16 bits keep their scale; wider ones have none, and are stretched."""
    with np.errstate(invalid="ignore"):  # some kinds of NaN
        samples: NDArray[np.float64] = np.asarray(picture).astype(np.float64)
    if picture.mode.startswith("I;16"):
        samples = samples / 257
    else:
        finite = samples[np.isfinite(samples)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        samples = np.nan_to_num(samples, nan=low, posinf=high, neginf=low)
        samples = (samples - low) * (255 / max(high - low, 1e-9))
    return Image.fromarray(np.rint(samples).astype(np.uint8))


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as EXIF says; a photo whose EXIF is broken stays as it is."""
    try:
        return ImageOps.exif_transpose(picture)
    except _DAMAGED:
        return picture


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
