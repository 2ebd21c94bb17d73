"""Photos on the device as integral images, and the mean colours of any rectangles of them.

What area_scaling.py does for one photo, for many of different sizes at once: the sums are whole numbers, so every mean
is the same to the last digit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.values import Rgb

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Photos:
    """Integral images of n photos, one behind the other.

    `sums`, int32 (all numbers,), holds for each photo a plane (height + 1, width + 1) for each of red, green and blue:
    the sums of all pixels above and to the left, which wrap around beyond 2^31 and whose differences wrap back.
    `starts`, `heights` and `widths`, int32 (n,), say where a photo's numbers begin, and its size in pixels.
    """

    sums: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor


def size_of_sums(height: int, width: int) -> int:
    """How many numbers a photo takes in `sums`."""
    return 3 * (height + 1) * (width + 1)


def place(photos: Sequence[Rgb], device: str) -> Photos:
    """Bring photos onto the device in one transfer, and sum them up there; those of a size together."""
    import torch

    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, photo in enumerate(photos):
        groups[photo.shape].append(i)
    ordered = [i for group in groups.values() for i in group]
    lengths = [size_of_sums(*photos[i].shape[:2]) for i in ordered]
    starts = np.zeros(len(photos), np.int32)
    starts[ordered] = np.cumsum([0, *lengths[:-1]])
    pixels = _transferred([photos[i] for i in ordered], device)
    sums = torch.zeros(sum(lengths), dtype=torch.int32, device=device)
    first_pixel = first_sum = 0
    for (height, width, _), group in groups.items():
        n_pixels, n_sums = len(group) * height * width * 3, len(group) * size_of_sums(height, width)
        group_pixels = pixels[first_pixel : first_pixel + n_pixels].view(-1, height, width, 3).permute(0, 3, 1, 2)
        planes = sums[first_sum : first_sum + n_sums].view(-1, 3, height + 1, width + 1)
        across = group_pixels.contiguous().cumsum(3, dtype=torch.int32)  # (n, 3, height, width)
        planes[:, :, 1:, 1:] = across.cumsum(2, dtype=torch.int32)
        first_pixel, first_sum = first_pixel + n_pixels, first_sum + n_sums
    shapes = np.array([photo.shape[:2] for photo in photos], np.int32)  # (n, 2)
    table = torch.from_numpy(np.column_stack([starts, shapes])).to(device)  # (n, 3)
    return Photos(sums, *table.unbind(1))


def _transferred(photos: Sequence[Rgb], device: str) -> Tensor:
    """The bytes of all photos, one behind the other, uint8 (all bytes,), on the device."""
    import torch

    pinned = torch.empty(sum(each.size for each in photos), dtype=torch.uint8, pin_memory=device != "cpu")
    np.concatenate([each.reshape(-1) for each in photos], out=pinned.numpy())
    return pinned.to(device, non_blocking=True)


def mean_colours(photos: Photos, of: Tensor, edges: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """The mean colours of rectangles of photos, float32 (k, 3, height, width), 0 to 255.

    `of`, (k,), are the photos' numbers. `edges`, int32 and each broadcast to (k, height, width), are left, top, right
    and bottom of the rectangles that make up the target's pixels, from 0; the last two lie behind the rectangle. An
    empty one is black.
    """
    import torch

    left, top, right, bottom = edges
    stride = (photos.widths[of] + 1)[:, None, None]  # (k, 1, 1)
    plane = (photos.heights[of] + 1)[:, None, None] * stride
    colour = torch.arange(3, dtype=torch.int32, device=plane.device)[:, None, None]
    base = photos.starts[of][:, None, None, None] + plane[:, None] * colour  # (k, 3, 1, 1)

    def look_up(x: Tensor, y: Tensor) -> Tensor:
        places = base + (y * stride + x)[:, None]  # (k, 3, height, width)
        return photos.sums.index_select(0, places.flatten()).view(places.shape)

    sums = look_up(right, bottom)
    sums -= look_up(left, bottom)
    sums -= look_up(right, top)
    sums += look_up(left, top)
    area = ((right - left) * (bottom - top)).float()
    weights = torch.where(area > 0, area.reciprocal(), 0.0)  # as float32, like area_scaling's
    return sums.float() * weights[:, None]


def edges_of_parts(part: Tensor, parts: Tensor | int, size: Tensor) -> tuple[Tensor, Tensor]:
    """First and past-the-last source pixel of a target pixel, which is one of `parts` that split `size` pixels."""
    import torch

    first = torch.div(part * size, parts, rounding_mode="floor")
    past = torch.div((part + 1) * size + (parts - 1), parts, rounding_mode="floor")
    return first, past
