"""Small valid photos in every format and many of its variants, to be damaged."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, features

from scripts.fuzz.heic_seeds import heic_seeds

SIDE = 96


def photo_seeds() -> dict[str, bytes]:
    """The photos by a name each; only formats that Pillow can write here, and HEIC where it is read."""
    drawn = _drawn()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    variants: dict[str, tuple[str, Image.Image, dict[str, Any]]] = {
        "jpeg": ("JPEG", drawn, {"quality": 80}),
        "jpeg-progressive": ("JPEG", drawn, {"progressive": True, "exif": exif}),
        "jpeg-grey": ("JPEG", drawn.convert("L"), {"restart_marker_blocks": 2}),
        "jpeg-cmyk": ("JPEG", drawn.convert("CMYK"), {}),
        "png": ("PNG", drawn, {"exif": exif}),
        "png-palette": ("PNG", drawn.convert("P"), {"transparency": 3}),
        "png-16": ("PNG", Image.fromarray(np.asarray(drawn.convert("L")).astype(np.uint16) * 257), {}),
        "gif": ("GIF", drawn.convert("P"), {"save_all": True, "append_images": [drawn.convert("P").rotate(90)]}),
        "bmp": ("BMP", drawn, {}),
        "bmp-palette": ("BMP", drawn.convert("P"), {}),
        "tiff": ("TIFF", drawn, {}),
        "tiff-lzw": ("TIFF", drawn, {"compression": "tiff_lzw"}),
        "tiff-jpeg": ("TIFF", drawn, {"compression": "jpeg"}),
        "tiff-deflate-16": ("TIFF", Image.new("I;16", (SIDE, SIDE), 30_000), {"compression": "tiff_deflate"}),
        "tiff-float": ("TIFF", drawn.convert("F"), {}),
        "webp": ("WEBP", drawn, {"quality": 60, "exif": exif}),
        "webp-lossless": ("WEBP", drawn.convert("RGBA"), {"lossless": True}),
    }
    if features.check("avif"):
        variants["avif"] = ("AVIF", drawn, {"speed": 10})
    return {name: _saved(*variant) for name, variant in variants.items()} | heic_seeds()


def _drawn() -> Image.Image:
    """A picture with edges, gradients and noise, so that no coder finds it easy."""
    down, right = np.mgrid[0:SIDE, 0:SIDE]
    noise = np.random.default_rng(1).integers(0, 40, (SIDE, SIDE, 3))
    shapes = np.stack([down * 2, right * 2, ((down // 12 + right // 12) % 2) * 120], axis=-1)
    return Image.fromarray(np.clip(shapes + noise, 0, 255).astype(np.uint8))


def _saved(kind: str, picture: Image.Image, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()
