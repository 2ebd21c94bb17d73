"""The GPU's memory: how much of it a process takes, and what is done where that is too little for a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.errors import Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")

LIMIT_BYTES = 8 * 2**30
"""What a process takes of the GPU's memory at most, its CUDA context (half a gigabyte) not counted."""


def limit_memory(limit_bytes: int = LIMIT_BYTES) -> None:
    """Let torch take no more than this of the GPU; beyond it, batches are halved as where there is no more."""
    import torch

    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total))


def memory_bytes() -> int:
    """What torch holds of the GPU's memory for this process."""
    import torch

    return int(torch.cuda.memory_reserved())


def in_halves(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]) -> list[Result]:
    """`work(items)`; where the GPU's memory is too little for it, of one half and then the other, as often as it takes.

    Raises Overloaded where it is too little for one item alone: other programs may have taken it.
    """
    import torch

    try:
        return work(items)
    except torch.OutOfMemoryError:
        pass  # outside, the error's frames hold no tensors any more
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(items) == 1:
        raise Overloaded("The GPU's memory is full; try again in a moment.")
    middle = len(items) // 2
    return in_halves(work, items[:middle]) + in_halves(work, items[middle:])
