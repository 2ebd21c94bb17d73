"""How broadly the index is searched."""

from __future__ import annotations

from service.stores.edge.breadth import LEAST, search_breadth


def test_larger_galleries_are_searched_more_broadly() -> None:
    """Ten times as many faces take some three times the breadth, and none less than Qdrant's own."""
    breadths = [search_breadth(10**power) for power in range(8)]
    assert breadths == sorted(breadths)
    assert breadths[0] == LEAST >= 100
    assert search_breadth(100_000) >= 250
    assert 3 < search_breadth(10_000_000) / search_breadth(1_000_000) < 3.3
