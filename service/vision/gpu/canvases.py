"""Canvases of many photos at once: pyramid.py's layouts, worked out and filled on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.models.conversion import BEYOND
from service.vision.gpu.photos import Photos, edges_of_parts, mean_colours
from service.vision.pyramid import STRIDE, WINDOW, CanvasLayout

if TYPE_CHECKING:
    from torch import Tensor


class Canvas(NamedTuple):
    """A canvas to be filled: of which photo, by its number among those at hand, and that photo's size in pixels."""

    photo: int
    height: int
    width: int
    layout: CanvasLayout


@dataclass(frozen=True, slots=True)
class Canvases:
    """k canvases of one shape, filled, and what their places mean.

    `pixels`, float32 (k, 3, height, width), are 0 to 255. `beyond`, float32 (k, 1, height - 2, width - 2), and
    `level_of`, (k, cells down, cells across), are those of pyramid.CanvasMap, but the levels are counted through all
    layouts: `corners`, int32 (levels, 2), have left and top of each, `scales`, float32 (levels,), its scale.
    `photo_of`, (k,), are the photos' numbers.
    """

    pixels: Tensor
    beyond: Tensor
    level_of: Tensor
    corners: Tensor
    scales: Tensor
    photo_of: Tensor


def fill(canvases: Sequence[Canvas], photos: Photos) -> Canvases:
    """Fill canvases of the same shape, at least one."""
    import torch

    device = str(photos.sums.device)
    kinds = list(dict.fromkeys((each.layout, each.height, each.width) for each in canvases))
    numbers = {kind: i for i, kind in enumerate(kinds)}
    kind_of, photo_of = _to_device(
        np.array([(numbers[each.layout, each.height, each.width], each.photo) for each in canvases], np.int64), device
    ).unbind(1)
    levels = [(each, height, width) for layout, height, width in kinds for each in layout.levels]
    counts = [len(layout.levels) for layout, _, _ in kinds]
    table = np.array([(e.left, e.top, e.width, e.height, width, height) for e, height, width in levels], np.int32)
    scales = _to_device(np.array([each.scale for each, _, _ in levels], np.float32), device)
    corners = _to_device(table, device)  # (levels, 6)
    owner = _to_device(np.stack([_owners(layout) for layout, _, _ in kinds]), device).to(
        torch.int64
    )  # (kinds, height, width), -1 for none
    first = _to_device(np.cumsum(counts) - counts, device)[:, None, None]  # of each kind's levels
    level = torch.where(owner >= 0, owner + first, -1)
    edges, beyond, level_of = _maps(level, corners)
    if len(kinds) > 1:  # else what holds for the one holds for all, and is broadcast
        edges, beyond, level_of = tuple(each[kind_of] for each in edges), beyond[kind_of], level_of[kind_of]
    left, top, right, bottom = edges
    pixels = mean_colours(photos, photo_of, (left, top, right, bottom))
    k = len(canvases)
    return Canvases(pixels, beyond, level_of.expand(k, -1, -1), corners[:, :2], scales, photo_of)


def _to_device(array: NDArray[np.generic], device: str) -> Tensor:
    import torch

    return torch.from_numpy(array).to(device)


@lru_cache(maxsize=64)
def _owners(layout: CanvasLayout) -> NDArray[np.int8]:
    """Which level each pixel of the canvas belongs to, (height, width); -1 for none."""
    owners = np.full((layout.height, layout.width), -1, np.int8)
    for i, each in enumerate(layout.levels):
        owners[each.top : each.top + each.height, each.left : each.left + each.width] = i
    return owners


def _maps(level: Tensor, levels: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Edges (left, top, right, bottom), `beyond` and `level_of` of kinds of canvases.

    `level`, (kinds, height, width), is -1 for no level; `levels`, int32 (levels, 6), are left, top, width and height
    on the canvas, then width and height of the photo.
    """
    import torch

    _, height, width = level.shape
    inside = level >= 0
    left, top, across, down, photo_width, photo_height = levels[level.clamp(min=0)].unbind(-1)
    column = torch.arange(width, dtype=torch.int32, device=level.device) - left  # in the level
    row = torch.arange(height, dtype=torch.int32, device=level.device)[:, None] - top

    lefts, rights = edges_of_parts(column, across, photo_width)
    tops, bottoms = edges_of_parts(row, down, photo_height)
    edges = tuple(torch.where(inside, each, 0) for each in (lefts, tops, rights, bottoms))
    # Without padding, 3×3 pixels wide: the first layer's answer is two pixels narrower than the level.
    seen = (inside & (row < down - 2) & (column < across - 2))[:, None, : height - 2, : width - 2]
    beyond = torch.where(seen, 0.0, BEYOND)
    cells = slice(None, height - WINDOW + 2, STRIDE), slice(None, width - WINDOW + 2, STRIDE)
    whole = inside & (row <= down - WINDOW + 1) & (column <= across - WINDOW + 1)
    level_of = torch.where(whole, level, -1)[:, cells[0], cells[1]]
    return edges, beyond, level_of
