"""Two ways to the same answer, photo by photo in turns, and by how much the second takes longer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from service.commands.markdown import table

PAIRS = 1000
_WARM_UP = 50

Way = Callable[[bytes], Awaitable[float]]
"""Takes a photo, and gives the milliseconds that its answer took."""


async def pairs_of(one: Way, other: Way, photos: Sequence[bytes], pairs: int = PAIRS) -> list[tuple[float, float]]:
    """Milliseconds of each photo by both, one right after the other, in turns as to which is first."""
    took = []
    for number, photo in enumerate(itertools.islice(itertools.cycle(photos), _WARM_UP + pairs)):
        if number % 2:
            first = await one(photo)
            took.append((first, await other(photo)))
        else:
            second = await other(photo)
            took.append((await one(photo), second))
    return took[_WARM_UP:]


def pairs_table(took: Sequence[tuple[float, float]], one: str, other: str) -> str:
    """The median difference of the pairs, and between which values it is with a probability of 95 %, in Markdown."""
    pairs = np.array(took)
    first, second = np.median(pairs, axis=0)
    added = np.sort(pairs[:, 1] - pairs[:, 0])
    reach = 0.98 * math.sqrt(len(added))  # of ranks about the median: 1.96 deviations of half a binomial's
    low, middle, high = added[[int(len(added) / 2 - reach), len(added) // 2, math.ceil(len(added) / 2 + reach)]]
    rows = [
        [one, f"{first:.2f} ms"],
        [other, f"{second:.2f} ms"],
        ["the second adds, median of pairs (95 %)", f"{middle:.2f} ms ({low:.2f} to {high:.2f})"],
        ["of the first", f"{middle / first:.1%} ({low / first:.1%} to {high / first:.1%})"],
    ]
    return table([f"{len(took):,} pairs", "median"], rows)
