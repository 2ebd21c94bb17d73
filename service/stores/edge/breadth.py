"""How many neighbours a search through the index looks at: the more faces, the more are as near as the true nearest."""

from __future__ import annotations

import math

LEAST = 128
"""Qdrant's own is 100, the number of neighbours that are looked at for each new link."""

_TIMES_ROOT = 1.0


def search_breadth(faces: int) -> int:
    """HNSW's `ef` for a gallery of so many faces, with which at least 99 % of the true nearest five are found.

    Measured with made-up people of four photos each (scripts/bench/edge.py), m = 16, ef_construct = 100, recall@5:

        ef          100     128     192     256     384     512
        100,000     0.986   0.990   0.998   1.000   1.000   1.000
        300,000     0.968   0.978   0.992   0.994   0.998   0.999

    With real embeddings, moved as another photo of the person is (`--embeddings`), more people are nearly as near:

        ef           80     100     128     139     192     256
        10,000      0.988           0.999           1.000
        30,000              0.980           0.991   0.996   0.998

    The least for 0.99 is about 85 at 10,000 and 135 at 30,000, which grows as the root does: 25 % more are looked at.
    At 100,000 that is 317, with which recall@5 is 0.995.
    At 300,000 a search takes 2.0 ms in the median with 100, 4.3 with 256 and 6.1 with 384, all found in memory.
    """
    return max(LEAST, math.ceil(_TIMES_ROOT * math.sqrt(faces)))
