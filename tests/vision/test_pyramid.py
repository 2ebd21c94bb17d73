"""The scaled copies of a photo: which there are, where they lie, and that their pixels are facenet-pytorch's."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from service.settings import Settings
from service.vision.area_scaling import integral_image
from service.vision.pyramid import CANVASES, CanvasLayout, Level, lay_out, map_canvas, render_canvas, smallest_face
from tests.vision.test_area_scaling import noise, torch_area

SIZES = [(64, 48), (250, 250), (533, 800), (800, 533), (1200, 626), (2048, 1991), (4000, 5000), (100, 10_000), (60, 61)]
"""Heights and widths."""


def facenet_scales(height: int, width: int) -> list[float]:
    """detect_face.py of facenet-pytorch 2.6.0 with min_face_size=20 and factor=0.709, word for word."""
    m = 12.0 / 20
    minl = min(height, width) * m
    scale_i = m
    scales = []
    while minl >= 12:
        scales.append(scale_i)
        scale_i = scale_i * 0.709
        minl = minl * 0.709
    return scales


def levels_of(height: int, width: int, smallest: float) -> list[Level]:
    return [level for layout in lay_out(height, width, smallest) for level in layout.levels]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("size", [(250, 250), (533, 800), (1200, 626), (100, 3000)])
def test_a_canvas_shows_each_copy_in_its_place_and_nothing_elsewhere(size: tuple[int, int]) -> None:
    photo = noise(*size)
    for layout in lay_out(*size, 20):
        canvas = render_canvas(map_canvas(layout, *size), integral_image(photo))
        assert canvas.shape == (1, layout.height, layout.width, 3)
        for level in layout.levels:
            place = canvas[0, level.top : level.top + level.height, level.left : level.left + level.width]
            np.testing.assert_allclose(place, torch_area(photo, level.height, level.width), atol=1e-4)
            place[...] = 0
        assert (canvas == 0).all()


# Copies


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_full_search_has_facenet_pytorchs_copies(height: int, width: int) -> None:
    levels = levels_of(height, width, 20)
    assert [level.scale for level in levels] == facenet_scales(height, width)
    for level in levels:
        assert (level.height, level.width) == (int(height * level.scale + 1), int(width * level.scale + 1))


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("smallest", [20, 32, 40, 80, 200])
def test_a_search_for_larger_faces_leaves_out_the_finest_copies_alone(height: int, width: int, smallest: float) -> None:
    """What stays are the same copies, and the finest of them shows a face of `smallest` pixels as 10 or more."""
    kept, full = levels_of(height, width, smallest), facenet_scales(height, width)
    assert [level.scale for level in kept] == full[len(full) - len(kept) :]
    if min(height, width) >= smallest:
        assert kept
        assert smallest * kept[0].scale >= 12 * 0.709**0.5 * (1 - 1e-9)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (19, 19), (1, 500), (500, 19), (10_000, 5)])
def test_a_photo_too_small_for_any_face_has_no_copies(height: int, width: int) -> None:
    assert lay_out(height, width, 20) == ()


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (250, 250, 32),  # min_face, where the share is less
        (2000, 1000, 80),  # 4 % of the longer side
        (1000, 2000, 80),
        (100, 10_000, 32),  # a panorama's faces are small beside its length
        (1000, 50_000, 80),  # 8 % of its shorter side
        (4000, 5000, 200),
    ],
)
def test_the_smallest_face_worth_finding_follows_the_photos_size(height: int, width: int, expected: float) -> None:
    assert smallest_face(height, width, min_face=32, share=0.04) == pytest.approx(expected)


# Canvases


def check(layout: CanvasLayout) -> None:
    """Every copy inside, none over another, and each where PNet's steps of 2 pixels begin."""
    for level in layout.levels:
        assert level.top % 2 == level.left % 2 == 0
        assert level.top + level.height <= layout.height
        assert level.left + level.width <= layout.width
    for a, b in combinations(layout.levels, 2):
        beside = a.left + a.width <= b.left or b.left + b.width <= a.left
        above = a.top + a.height <= b.top or b.top + b.height <= a.top
        assert beside or above


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("smallest", [20, 32, 100])
def test_copies_on_a_canvas_do_not_overlap(height: int, width: int, smallest: float) -> None:
    for layout in lay_out(height, width, smallest):
        check(layout)


@pytest.mark.slow
def test_photos_of_ordinary_shapes_need_few_canvases_and_of_known_sizes() -> None:
    """From 40 to 8,000 pixels and up to twice as long as wide, so nothing is compiled anew for a photo's size."""
    defaults = Settings()
    chance = np.random.default_rng(0)
    for _ in range(1000):
        longer = int(np.exp(chance.uniform(np.log(40), np.log(8000))))
        height, width = longer, max(40, int(longer * chance.uniform(0.5, 1)))
        if chance.random() < 0.5:
            height, width = width, height
        smallest = smallest_face(height, width, min_face=defaults.min_face, share=defaults.min_share)
        laid_out = lay_out(height, width, smallest)
        assert 1 <= len(laid_out) <= 4
        for layout in laid_out:
            assert (layout.height, layout.width) in CANVASES, (height, width)
            check(layout)
