"""Canvases that are filled together are those that pyramid.py makes for each photo alone."""

from __future__ import annotations

import numpy as np
import pytest

from service.values import Rgb
from service.vision.area_scaling import integral_image
from service.vision.gpu.canvases import Canvas, fill
from service.vision.gpu.photos import place
from service.vision.pyramid import CanvasLayout, Level, map_canvas, render_canvas
from tests.vision.gpu.conftest import pyramid_of

pytestmark = pytest.mark.torch


def filled_like_alone(photos: list[Rgb], layouts: list[CanvasLayout]) -> None:
    """Pixels, `beyond` and levels of canvases of one shape, one for each photo."""
    canvases = [Canvas(i, photo.shape[0], photo.shape[1], layouts[i]) for i, photo in enumerate(photos)]
    filled = fill(canvases, place(photos, "cpu"))
    first_level = 0
    levels: dict[tuple[CanvasLayout, tuple[int, ...]], int] = {}
    for i, (photo, layout) in enumerate(zip(photos, layouts, strict=True)):
        height, width = photo.shape[:2]
        alone = map_canvas(layout, height, width)
        pixels = filled.pixels[i].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(pixels, render_canvas(alone, integral_image(photo))[0])
        np.testing.assert_array_equal(filled.beyond[min(i, len(filled.beyond) - 1)].numpy(), alone.beyond[0])
        kind = (layout, photo.shape)
        if kind not in levels:
            levels[kind] = first_level
            first_level += len(layout.levels)
        first = levels[kind]
        expected = np.where(alone.level_of >= 0, alone.level_of.astype(np.int64) + first, -1)
        np.testing.assert_array_equal(filled.level_of[i].numpy(), expected)
        scales = filled.scales[first : first + len(layout.levels)].tolist()
        assert scales == pytest.approx([each.scale for each in layout.levels])
        corners = filled.corners[first : first + len(layout.levels)].tolist()
        assert corners == [[each.left, each.top] for each in layout.levels]
        assert int(filled.photo_of[i]) == i


def test_photos_of_one_size(album_of_sizes: list[Rgb]) -> None:
    same = [album_of_sizes[1], album_of_sizes[-1]]
    filled_like_alone(same, [pyramid_of(photo)[0] for photo in same])


def test_photos_of_several_sizes_on_canvases_of_one_shape(album_of_sizes: list[Rgb]) -> None:
    shapes: dict[tuple[int, int], list[Rgb]] = {}
    for photo in album_of_sizes:
        [layout] = pyramid_of(photo)
        shapes.setdefault((layout.height, layout.width), []).append(photo)
    assert any(len({photo.shape for photo in group}) > 1 for group in shapes.values())
    for group in shapes.values():
        filled_like_alone(group, [pyramid_of(photo)[0] for photo in group])


@pytest.mark.parametrize("size", [(61, 45), (40, 33), (96, 13)])
def test_a_canvas_of_an_odd_shape(size: tuple[int, int]) -> None:
    """As a long panorama's copy gets one."""
    photo = np.random.default_rng(1).integers(0, 256, (140, 120, 3), dtype=np.uint8)
    height, width = size
    filled_like_alone([photo], [CanvasLayout(height, width, (Level(0.3, height, width),))])
