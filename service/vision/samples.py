"""A decoded picture of any mode to 8-bit RGB, also one with more bits a sample, whichever of them it uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

_DEPTHS: Final = (8, 10, 12, 14, 16)
"""Bits that sensors and scanners have; what they wrote into 16 is dark unless it is read on that scale."""

_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""The order of bytes by which Pillow, which keeps the high byte of a 16-bit colour, gives its low byte."""

_STRIP_SAMPLES = 2**18
"""Samples that are converted at a time."""

_DIM = 2**14 // 256
"""The least high byte that a sample of more than 14 bits can have."""


def deep_colours(opened: Image.Image) -> bool:
    """Whether a photo, not yet loaded, has 16-bit colours, of which Pillow will keep the high bytes alone."""
    return opened.mode in {"RGB", "RGBA"} and any(";16" in _raw_mode(each) for each in _tiles(opened))


def with_low_bytes(loaded: Image.Image, again: Image.Image) -> Image.Image:
    """A photo with `deep_colours` on the scale of the bits that it uses; `again` is the same file, opened anew.

    As it is where it uses more than 14 bits: then the high bytes are the 8-bit picture.
    """
    highest = max(int(high) for _, high in loaded.getextrema()[:3])  # type: ignore[misc]  # a pair for each band
    if highest >= _DIM:
        return loaded
    again.tile = [each._replace(args=_swapped(each.args)) for each in _tiles(again)]  # type: ignore[attr-defined]
    again.load()
    scale = _scale(max(int(_joined(high, again, box).max(initial=0)) for box, high in _strips(loaded)))
    for box, high in _strips(loaded):
        loaded.paste(Image.fromarray(np.take(scale, _joined(high, again, box))), box)
    return loaded


def to_rgb(picture: Image.Image) -> Image.Image:
    """Bring any mode to 8-bit RGB. Transparency is dropped, not blended: the colours beneath are the photo's."""
    return to_8_bits(picture).convert("RGB")


def to_8_bits(picture: Image.Image) -> Image.Image:
    """As `to_rgb`, but grey stays grey in mode L, which takes a quarter of the memory."""
    if picture.mode in {"RGB", "L"}:
        return picture
    if picture.mode.startswith("I;16"):
        scale = _scale(max(int(samples.max(initial=0)) for _, samples in _strips(picture)))
        picture = _converted(picture, lambda samples: np.take(scale, samples))
    elif picture.mode.startswith(("I", "F")):
        picture = _stretched(picture)
    elif picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")  # straight to RGB, Pillow would warn
    return picture if picture.mode == "L" else picture.convert("RGB")


def _strips(picture: Image.Image) -> Iterator[tuple[tuple[int, int, int, int], NDArray[Any]]]:
    """Some rows after others, as boxes with their samples: no second copy of a large photo is ever made."""
    rows = max(1, _STRIP_SAMPLES // max(picture.width, 1))
    for top in range(0, picture.height, rows):
        box = (0, top, picture.width, min(top + rows, picture.height))
        yield box, np.asarray(picture.crop(box))


def _converted(picture: Image.Image, convert: Callable[[NDArray[Any]], NDArray[np.uint8]]) -> Image.Image:
    """A grey picture of what `convert` makes of the samples."""
    grey = Image.new("L", picture.size)
    for box, samples in _strips(picture):
        grey.paste(Image.fromarray(convert(samples)), box)
    return grey


def _joined(high: NDArray[np.uint8], low: Image.Image, box: tuple[int, int, int, int]) -> NDArray[np.uint16]:
    """16-bit colours (rows, width, 3) of a strip's high bytes and the picture of the low ones."""
    joined: NDArray[np.uint16] = high[:, :, :3].astype(np.uint16) * 256
    joined += np.asarray(low.crop(box))[:, :, :3]
    return joined


def _scale(highest: int) -> NDArray[np.uint8]:
    """The 8-bit value of each 16-bit sample, (65536,), on the scale of the least depth that holds the highest."""
    brightest = 2 ** next(depth for depth in _DEPTHS if highest.bit_length() <= depth) - 1
    scale: NDArray[np.uint8] = np.minimum(np.rint(np.arange(2**16) * (255 / brightest)), 255).astype(np.uint8)
    return scale


def _stretched(picture: Image.Image) -> Image.Image:
    """32-bit and float samples have no scale of their own: the darkest becomes 0, the brightest 255."""
    lows, highs = [], []
    for _, samples in _strips(picture):
        finite = samples[np.isfinite(samples)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = min(lows, default=0.0), max(highs, default=0.0)

    def stretched(samples: NDArray[np.int32] | NDArray[np.float32]) -> NDArray[np.uint8]:
        with np.errstate(invalid="ignore"):  # some kinds of NaN
            wide: NDArray[np.float64] = samples.astype(np.float64)
        wide = np.nan_to_num(wide, nan=low, posinf=high, neginf=low)
        return np.rint((wide - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)

    return _converted(picture, stretched)


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
