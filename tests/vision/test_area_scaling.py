"""Scaling by averaged areas: facenet-pytorch's way, to the last digit that matters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.vision.area_scaling import MAX_SIDE, integral_image, mean_colours, source_areas


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scale(photo: NDArray[np.uint8], boxes: list[list[int]], height: int, width: int) -> NDArray[np.float32]:
    """Boxes of a photo (left, top, right, bottom), each scaled to (height, width, 3)."""
    return mean_colours(integral_image(photo), source_areas(np.array(boxes), height=height, width=width))


def torch_area(photo: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """torch's `interpolate(mode="area")` in double precision, (height, width, 3)."""
    import torch

    pixels = torch.from_numpy(photo).permute(2, 0, 1)[None].double()
    scaled = torch.nn.functional.interpolate(pixels, size=(height, width), mode="area")[0].permute(1, 2, 0)
    return np.asarray(scaled.numpy(), dtype=np.float32)


@pytest.mark.torch
@pytest.mark.parametrize("size", [(24, 24), (48, 48), (7, 11), (1, 1), (97, 133), (98, 134), (200, 300)])
def test_a_photo_is_scaled_as_torch_scales_it(size: tuple[int, int]) -> None:
    """Down, up and not at all, whether or not the sizes divide."""
    photo = noise(97, 133)
    np.testing.assert_allclose(scale(photo, [[0, 0, 133, 97]], *size)[0], torch_area(photo, *size), atol=1e-4)


@pytest.mark.torch
def test_several_boxes_are_scaled_as_each_alone() -> None:
    """The whole photo, single pixels, its rows and its corners."""
    photo = noise(97, 133)
    boxes = [[0, 0, 133, 97], [5, 6, 6, 7], [30, 20, 71, 61], [132, 96, 133, 97], [0, 40, 133, 41]]
    for (left, top, right, bottom), scaled in zip(boxes, scale(photo, boxes, 24, 24), strict=True):
        np.testing.assert_allclose(scaled, torch_area(photo[top:bottom, left:right].copy(), 24, 24), atol=1e-4)


@pytest.mark.torch
def test_thousands_of_boxes_are_scaled_at_once() -> None:
    """As many as PNet proposes in a photo full of texture."""
    photo = noise(97, 133)
    scaled = scale(photo, [[0, 0, 133, 97], [30, 20, 71, 61]] * 1500, 24, 24)
    assert scaled.shape == (3000, 24, 24, 3)
    assert (scaled[0::2] == scaled[0]).all()
    np.testing.assert_allclose(scaled[-1], torch_area(photo[20:61, 30:71].copy(), 24, 24), atol=1e-4)


def test_a_large_bright_photo_does_not_overflow() -> None:
    """Its pixels sum up to more than 32 bits hold."""
    photo = np.full((4000, 5000, 3), 255, dtype=np.uint8)
    photo[3990:, 4990:] = noise(10, 10)
    bright, corner = scale(photo, [[0, 0, 4990, 3990], [4990, 3990, 5000, 4000]], 10, 10)
    np.testing.assert_allclose(bright, 255, rtol=1e-6)
    np.testing.assert_allclose(corner, photo[3990:, 4990:], atol=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize(("height", "width"), [(3, MAX_SIDE), (MAX_SIDE, 3)])
def test_the_longest_side_is_scaled_right_to_its_end(height: int, width: int) -> None:
    photo = noise(height, width)
    box = [max(width - 40, 0), max(height - 40, 0), width, height]
    expected = torch_area(photo[box[1] :, box[0] :].copy(), 24, 24)
    np.testing.assert_allclose(scale(photo, [box], 24, 24)[0], expected, atol=1e-4)
