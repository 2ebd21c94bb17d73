"""Where the GPU's memory is too little for a batch, its halves are tried; only a single item is given up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service.errors import Overloaded
from service.vision.gpu.memory import in_halves

pytestmark = pytest.mark.torch


class Doubling:
    """Doubles numbers, up to `room` at once; what it is asked for is remembered."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        import torch

        self.asked.append(len(items))
        if len(items) > self.room:
            raise torch.OutOfMemoryError
        return [2 * each for each in items]


def test_what_fits_is_done_at_once() -> None:
    work = Doubling(8)
    assert in_halves(work, range(8)) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert work.asked == [8]


def test_what_does_not_fit_is_done_in_halves_and_in_order() -> None:
    work = Doubling(2)
    assert in_halves(work, range(7)) == [0, 2, 4, 6, 8, 10, 12]
    assert work.asked == [7, 3, 1, 2, 4, 2, 2]


def test_a_single_item_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Overloaded, match="GPU's memory is full"):
        in_halves(Doubling(0), [1, 2])


def test_other_errors_pass_through() -> None:
    def broken(_: Sequence[int]) -> list[int]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        in_halves(broken, [1, 2])
