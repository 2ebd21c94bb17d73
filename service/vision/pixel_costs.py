"""Which photos take twice the memory of an RGB photo while they are decoded, and so may have half its pixels."""

from __future__ import annotations

from PIL import Image

from service.vision.containers.pixels import require_pixels
from service.vision.samples import deep_colours

LARGE_PIXELS = 16_000_000
"""Beyond, a photo may take 100 MB and more, and each costs as much as its kind does."""
HEAVY_TIMES = 2
"""So many times more bytes of each pixel Pillow keeps of a heavy photo: 8 and more, of an RGB photo's 4."""

_LIGHT = {"1", "L", "P", "RGB", "I;16", "I;16L", "I;16B", "I;16N"}
"""Modes that become RGB in 5 bytes a pixel at most."""
_HEAVY = {"CMYK": "of four colours", "I": "of 32 bits", "F": "of 32 bits"}


def require_affordable(opened: Image.Image, max_pixels: int) -> None:
    """Raises ImageTooLarge for a photo, not yet loaded, beyond `max_pixels`, or beyond half as many of a heavy one."""
    require_pixels(opened.size, max_pixels)
    kind = _heavy_kind(opened)
    if kind:
        affordable = max(max_pixels // HEAVY_TIMES, LARGE_PIXELS)
        require_pixels(opened.size, affordable, kind=f" {kind}", advice="save it as a usual JPEG")


def _heavy_kind(opened: Image.Image) -> str:
    """In words, what makes each pixel of a photo costly; empty where nothing does."""
    if deep_colours(opened):
        return "of 16 bits a colour"
    palette_of_alpha = opened.mode == "P" and "transparency" in opened.info
    if opened.mode in _LIGHT and not palette_of_alpha:
        return ""
    alpha = palette_of_alpha or opened.mode.upper().endswith("A")
    return _HEAVY.get(opened.mode, "with transparency" if alpha else "of unusual colours")
