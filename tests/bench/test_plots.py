"""The benchmark's pictures are drawn of what was measured, and its searches are read from the tables that tell them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from scripts.bench.__main__ import COMMAND, PAGE
from scripts.bench.plots import Served, SizeRow, latency_by_size, size_rows, throughput_by_callers
from scripts.generated import read_part

TABLE = """
| faces                    |       10,000 |       100,000 |
| ------------------------ | -----------: | ------------: |
| insertions a second      |        5,252 |         4,559 |
| top 5 exact, p50 / p99   | 1.5 / 1.8 ms | 11.9 / 1,015.5 ms |
| top 5 indexed, p50 / p99 | 1.5 / 2.2 ms |             – |
"""
LARGER = """
| faces                  |    100,000 |     1,000,000 |
| ---------------------- | ---------: | ------------: |
| top 5 exact, p50 / p99 | 1 / 2 ms   | 150.4 / 190 ms |
"""


def test_searches_are_read_from_the_tables_of_several_texts_and_the_first_text_counts() -> None:
    """A size that wasn't measured is no row."""
    assert size_rows(TABLE, LARGER) == [
        SizeRow(10_000, "exact", 1.5, 1.8),
        SizeRow(100_000, "exact", 11.9, 1015.5),
        SizeRow(10_000, "indexed", 1.5, 2.2),
        SizeRow(1_000_000, "exact", 150.4, 190.0),
    ]


def test_the_page_has_a_place_for_the_report_with_searches_to_draw() -> None:
    assert size_rows(read_part(PAGE, COMMAND))


@pytest.mark.slow
def test_pictures_are_drawn(tmp_path: Path) -> None:
    served = [Served(1, 8.0, 120, 150), Served(64, 12.4, 5200, 6000)]
    written = throughput_by_callers(served, 13.5, tmp_path / "images" / "throughput.png")
    written += latency_by_size(size_rows(TABLE), tmp_path / "searches.png")
    assert [path.name for path in written] == ["throughput.png", "searches.png"]
    for path in written:
        with Image.open(path) as picture:
            assert picture.width > 700


def test_nothing_is_drawn_of_no_searches(tmp_path: Path) -> None:
    assert latency_by_size([], tmp_path / "searches.png") == []
