"""Mean colours of many photos' rectangles are those that area_scaling finds for each photo alone."""

from __future__ import annotations

import numpy as np
import pytest

from service.values import Rgb
from service.vision.area_scaling import integral_image, mean_colours, source_areas
from service.vision.gpu import photos as batched

pytestmark = pytest.mark.torch


def test_sums_are_those_of_each_photo_alone(album_of_sizes: list[Rgb]) -> None:
    """Whatever sizes stand beside it, and in which order."""
    placed = batched.place(album_of_sizes, "cpu")
    for i, photo in enumerate(album_of_sizes):
        height, width = photo.shape[:2]
        assert (int(placed.heights[i]), int(placed.widths[i])) == (height, width)
        start = int(placed.starts[i])
        sums = placed.sums[start : start + batched.size_of_sums(height, width)].view(3, height + 1, width + 1)
        np.testing.assert_array_equal(sums.permute(1, 2, 0).numpy(), integral_image(photo))


@pytest.mark.parametrize("side", [24, 48, 7])
def test_means_are_those_of_each_photo_alone(album_of_sizes: list[Rgb], side: int) -> None:
    """To the last digit, for rectangles smaller and larger than the target, down to one pixel."""
    import torch

    random = np.random.default_rng(0)
    placed = batched.place(album_of_sizes, "cpu")
    of = random.integers(0, len(album_of_sizes), 60)
    boxes, expected = [], []
    for i in of:
        height, width = album_of_sizes[i].shape[:2]
        left, top = random.integers(0, width - 1), random.integers(0, height - 1)
        boxes.append((left, top, random.integers(left + 1, width + 1), random.integers(top + 1, height + 1)))
        areas = source_areas(np.array(boxes[-1:]), height=side, width=side)
        expected.append(mean_colours(integral_image(album_of_sizes[i]), areas)[0])
    left, top, right, bottom = (each[:, None] for each in torch.tensor(boxes, dtype=torch.int32).unbind(1))
    pixel = torch.arange(side, dtype=torch.int32)
    lefts, rights = (left + each for each in batched.edges_of_parts(pixel, side, right - left))
    tops, bottoms = (top + each for each in batched.edges_of_parts(pixel, side, bottom - top))
    edges = (lefts[:, None], tops[:, :, None], rights[:, None], bottoms[:, :, None])
    means = batched.mean_colours(placed, torch.from_numpy(of), edges)
    np.testing.assert_array_equal(means.permute(0, 2, 3, 1).numpy(), np.stack(expected))


def test_an_empty_rectangle_is_black() -> None:
    import torch

    placed = batched.place([np.full((20, 30, 3), 200, np.uint8)], "cpu")
    nothing = torch.zeros((1, 4, 4), dtype=torch.int32)
    assert not batched.mean_colours(placed, torch.tensor([0]), (nothing, nothing, nothing, nothing)).any()


def test_sums_beyond_32_bits_are_told_all_the_same() -> None:
    """A white photo of 9 million pixels: they wrap around, and back in their differences."""
    import torch

    photo = np.full((3000, 3000, 3), 255, np.uint8)
    placed = batched.place([photo], "cpu")
    edges = [torch.full((1, 1, 1), each, dtype=torch.int32) for each in (2990, 2990, 3000, 3000)]
    means = batched.mean_colours(placed, torch.tensor([0]), (edges[0], edges[1], edges[2], edges[3]))
    np.testing.assert_array_equal(means.numpy(), np.full((1, 3, 1, 1), 255, np.float32))
