"""Non-maximum suppression of many groups of boxes at once, by torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MAX_GROUP = 4096
"""Boxes of a group, the best, that are looked at; a photo made to yield more would take gigabytes."""

_PAIRS_AT_ONCE = 2**24
"""Pairs of boxes that are compared at once, 17 bytes each."""

_ROUNDS = 4
"""Of the suppression, before it is asked whether anything still changes, for which the device must be waited for."""


def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, max_overlap: float, *, by_smaller: bool = False) -> Tensor:
    """Greedy suppression within groups: the indices (k,) of the boxes (n, 4) that stay, by group, best first.

    `groups`, (n,), are any whole numbers. A box goes when its intersection with a better one (by `scores`, (n,)) of its
    group that stays exceeds `max_overlap` of their union, or with `by_smaller` of the smaller of the two. Pixels then
    count inclusively and of equally good boxes the last stays, as in box_math.non_max_suppression_by_smaller.
    """
    import torch

    if len(boxes) == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    order = torch.arange(len(boxes), device=boxes.device)
    if by_smaller:
        order = order.flip(0)  # so that of equal scores the last comes first
    order = order[scores[order].sort(descending=True, stable=True).indices]
    order = order[groups[order].sort(stable=True).indices]
    _, sizes = groups[order].unique_consecutive(return_counts=True)  # type: ignore[no-untyped-call]  # (groups,)
    starts = sizes.cumsum(0) - sizes
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    biggest_first = sizes.argsort(descending=True, stable=True)
    for chunk, longest in _chunks(sizes[biggest_first].tolist()):
        chosen = biggest_first[chunk]
        rank = torch.arange(longest, device=boxes.device)
        filled = rank < sizes[chosen, None]  # (c, longest)
        places = torch.where(filled, starts[chosen, None] + rank, 0)  # in `order`
        stay = _greedy(boxes[order[places]], filled, max_overlap, by_smaller=by_smaller)
        kept[places[stay]] = True
    return order[kept]


def _chunks(sizes: list[int]) -> Iterator[tuple[slice, int]]:
    """Which groups, given by their falling sizes, are worked on together, and how many boxes of each."""
    start = 0
    while start < len(sizes):
        longest = min(sizes[start], MAX_GROUP)
        count = max(1, _PAIRS_AT_ONCE // longest**2)
        yield slice(start, start + count), longest
        start += count


def _greedy(boxes: Tensor, filled: Tensor, max_overlap: float, *, by_smaller: bool) -> Tensor:
    """Which of the boxes (c, m, 4), best first, stay: (c, m); those that aren't `filled` don't."""
    import torch

    extra = 1.0 if by_smaller else 0.0
    left, top, right, bottom = boxes.unbind(2)  # (c, m) each
    area = (right - left + extra) * (bottom - top + extra)
    width = torch.minimum(right[:, :, None], right[:, None]) - torch.maximum(left[:, :, None], left[:, None]) + extra
    height = torch.minimum(bottom[:, :, None], bottom[:, None]) - torch.maximum(top[:, :, None], top[:, None]) + extra
    shared = width.clamp_(min=0) * height.clamp_(min=0)  # (c, m, m)
    del width, height
    one, other = area[:, :, None], area[:, None]
    whole = torch.minimum(one, other) if by_smaller else one + other - shared
    suppresses = (shared > max_overlap * whole).triu_(1)  # (c, m, m): the row's box the column's, the worse one
    del shared, whole
    weights = suppresses.to(torch.float16 if boxes.is_cuda else torch.float32)
    stay = filled
    while True:
        before = stay
        # A box stays if no better one that stays suppresses it. From the best box on, each round settles at least one
        # more, and most chains are short; what no longer changes is what taking one box after another would give.
        for _ in range(_ROUNDS):
            before = stay
            stay = filled & (torch.bmm(stay[:, None].to(weights.dtype), weights)[:, 0] == 0)
        if bool((before == stay).all()):
            return stay
