"""A cheap look at a photo's container before anything decodes it, in time that grows with its bytes at most."""

from __future__ import annotations

import re

from service.vision.containers import jpeg, others, png, tiff
from service.vision.containers.pixels import require_pixels

_ANY_PHOTO = re.compile(rb"\xff\xd8\xff|\x89PNG|BM|GIF8|II|MM|RIFF|....ftyp", re.DOTALL)
"""How anything begins that a reader would take on."""


def may_be_photo(content: bytes) -> bool:
    """Whether a reader would take these bytes on at all."""
    return _ANY_PHOTO.match(content) is not None


def is_ordinary(photo: bytes, *, max_pixels: int) -> bool:
    """Whether a photo is a JPEG or PNG of whose decoding the time and the memory are known to be small.

    Raises ImplausibleImage for what no camera or program writes, ImageTooLarge where the head says that there are more
    pixels than `max_pixels`.
    """
    if photo.startswith(b"\xff\xd8\xff"):
        jpeg_walk = jpeg.walk(photo)
        require_pixels(jpeg_walk.size, max_pixels)
        return jpeg_walk.ordinary
    if photo.startswith(png.SIGNATURE):
        png_walk = png.walk(photo)
        require_pixels(png_walk.size, max_pixels)
        return png_walk.ordinary
    if photo.startswith((b"II", b"MM")):
        tiff.require_plausible(photo)
    elif photo.startswith(b"BM"):
        others.require_plausible_bmp(photo)
    elif photo.startswith(b"GIF8"):
        others.require_plausible_gif(photo)
    elif photo.startswith(b"RIFF"):
        others.require_plausible_webp(photo, max_pixels=max_pixels)
    elif photo[4:8] == b"ftyp":
        others.require_plausible_boxes(photo)
    return False
