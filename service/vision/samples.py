"""A decoded picture of any mode to 8-bit RGB, also one with more bits a sample, whichever of them it uses."""

from __future__ import annotations

import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from service.values import Rgb

_DEPTHS: Final = (8, 10, 12, 14, 16)
"""Bits that sensors and scanners have; what they wrote into 16 is dark unless it is read on that scale."""

_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The order of bytes by which Pillow, which keeps the high byte of a 16-bit colour, gives its low byte."""

_DIM = 2**14 // 256
"""The least high byte that a sample of more than 14 bits can have."""


def deep_colours(opened: Image.Image) -> bool:
    """Whether a photo, not yet loaded, has 16-bit colours, of which Pillow will keep the high bytes alone."""
    return opened.mode in {"RGB", "RGBA"} and any(";16" in _raw_mode(each) for each in _tiles(opened))


def with_low_bytes(loaded: Image.Image, again: Image.Image) -> Image.Image:
    """A photo with `deep_colours` on the scale of the bits that it uses; `again` is the same file, opened anew.

    As it is where it uses more than 14 bits: then the high bytes are the 8-bit picture.
    """
    high: Rgb = np.asarray(loaded)[:, :, :3]
    if int(high.max(initial=0)) >= _DIM:
        return loaded
    again.tile = [each._replace(args=_swapped(each.args)) for each in _tiles(again)]  # type: ignore[attr-defined]
    again.load()
    low: Rgb = np.asarray(again)[:, :, :3]
    return Image.fromarray(_to_8_bits(high.astype(np.uint16) * 256 + low))


def to_rgb(picture: Image.Image) -> Image.Image:
    """Bring any mode to 8-bit RGB. Transparency is dropped, not blended: the colours beneath are the photo's."""
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray(_to_8_bits(np.asarray(picture)))
    elif picture.mode.startswith(("I", "F")):
        picture = Image.fromarray(_stretched(np.asarray(picture)))
    elif picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # straight to RGB, Pillow would warn
    return picture.convert("RGB")


def _to_8_bits(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """16-bit samples of any shape, on the scale of the least depth that holds the greatest."""
    used = int(samples.max(initial=0)).bit_length()
    brightest = 2 ** next(depth for depth in _DEPTHS if used <= depth) - 1
    table = np.minimum(np.rint(np.arange(2**16) * (255 / brightest)), 255).astype(np.uint8)
    return np.take(table, samples)


def _stretched(wide: NDArray[np.int32] | NDArray[np.float32]) -> NDArray[np.uint8]:
    """32-bit and float samples have no scale of their own: the darkest becomes 0, the brightest 255."""
    with np.errstate(invalid="ignore"):  # some kinds of NaN
        samples: NDArray[np.float64] = wide.astype(np.float64)
    finite = samples[np.isfinite(samples)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    samples = np.nan_to_num(samples, nan=low, posinf=high, neginf=low)
    return np.rint((samples - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)


def _tiles(opened: Image.Image) -> list[ImageFile._Tile]:
    return getattr(opened, "tile", [])


def _raw_mode(tile: ImageFile._Tile) -> str:
    """How the bytes stand in the file, such as RGB;16B; a tile has it alone or first of several."""
    arguments = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
    return arguments if isinstance(arguments, str) else ""


def _swapped(arguments: tuple[object, ...] | str | None) -> tuple[object, ...] | str | None:
    if isinstance(arguments, str):
        return arguments[:-1] + _SWAPPED.get(arguments[-1], arguments[-1])
    if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], str):
        return (_swapped(arguments[0]), *arguments[1:])
    return arguments
