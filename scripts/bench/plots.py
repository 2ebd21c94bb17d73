"""The benchmark's pictures: throughput over the number of callers, and a search's time over the size of a gallery.

Run alone as `python -m scripts.bench.plots FILE ...`: it draws the searches of the tables in these documents.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scripts.bench.figures import COLOURS, can_plot, new_figure, saved
from scripts.generated import DOCS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = DOCS / "images"
THROUGHPUT, SEARCHES = "throughput.png", "search-latency.png"

_CELL = re.compile(r"([\d.,]+) / ([\d.,]+) ms")
_ROWS = {"top 5 exact, p50 / p99": "exact", "top 5 indexed, p50 / p99": "indexed"}
"""The rows of the table of `scripts.bench.edge` that are drawn."""


class Served(NamedTuple):
    """What a number of callers at once had of a service."""

    callers: int
    per_second: float
    p50_ms: float
    p99_ms: float


class SizeRow(NamedTuple):
    """Searches in a gallery of so many faces: `kind` is `exact` or `indexed`."""

    faces: int
    kind: str
    p50_ms: float
    p99_ms: float


def throughput_by_callers(served: Sequence[Served], limit_per_s: float, path: Path) -> list[Path]:
    """Photos a second over callers, with the processors' limit as a line, beside what a caller waits.

    Nothing, and a sentence, without matplotlib; so for both plots.
    """
    if not can_plot():
        return []
    figure = new_figure(2, "Recognitions over HTTP")
    left, right = figure.axes
    callers = [each.callers for each in served]
    left.plot(callers, [each.per_second for each in served], color=COLOURS[0], marker="o", label="measured")
    left.axhline(limit_per_s, color=COLOURS[1], linestyle="--", label="what the processors allow")
    left.set(ylabel="recognitions a second", ylim=(0, 1.15 * max(limit_per_s, *(each.per_second for each in served))))
    right.plot(callers, [each.p50_ms for each in served], color=COLOURS[0], marker="o", label="half of them")
    right.plot(
        callers, [each.p99_ms for each in served], color=COLOURS[0], linestyle=":", marker="o", label="99 of 100"
    )
    right.plot(
        callers,
        [each.callers / limit_per_s * 1000 for each in served],
        color=COLOURS[1],
        linestyle="--",
        label="callers / what the processors allow",
    )
    right.set(ylabel="answered within (ms)", yscale="log")
    _plain_numbers(right, "y")
    for axes in figure.axes:
        axes.set(xlabel="callers at once", xscale="log", xticks=callers)
        _plain_numbers(axes, "x")
        axes.legend(loc="best")
    return [saved(figure, path)]


def latency_by_size(rows: Sequence[SizeRow], path: Path) -> list[Path]:
    """Milliseconds of the searches over the faces in a gallery, exact and by the index."""
    if not rows or not can_plot():
        return []
    figure = new_figure(1, "A search for the nearest five, embedded gallery")
    [axes] = figure.axes
    for kind, colour in zip(("exact", "indexed"), COLOURS, strict=False):
        mine = sorted(each for each in rows if each.kind == kind)
        sizes = [each.faces for each in mine]
        axes.plot(sizes, [each.p50_ms for each in mine], color=colour, marker="o", label=f"{kind}, half of them")
        axes.plot(
            sizes,
            [each.p99_ms for each in mine],
            color=colour,
            linestyle=":",
            marker="o",
            label=f"{kind}, 99 of 100",
        )
    axes.set(xlabel="faces in the gallery", xscale="log", ylabel="found within (ms)", yscale="log")
    for which in ("x", "y"):
        _plain_numbers(axes, which)
    axes.legend(loc="best")
    return [saved(figure, path)]


def size_rows(*texts: str) -> list[SizeRow]:
    """The searches in all tables of the form of `scripts.bench.edge`'s; of a size that stands twice, the first."""
    rows: dict[tuple[int, str], SizeRow] = {}
    for text in texts:
        for row in _size_rows(text):
            rows.setdefault((row.faces, row.kind), row)
    return list(rows.values())


def _size_rows(text: str) -> Iterator[SizeRow]:
    sizes: list[int] = []
    for line in text.splitlines():
        name, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        if name == "faces" and all(re.fullmatch(r"[\d,]+", cell) for cell in cells):
            sizes = [_number(cell) for cell in cells]
        elif name in _ROWS:
            for size, cell in zip(sizes, cells, strict=False):
                if found := _CELL.fullmatch(cell):
                    yield SizeRow(size, _ROWS[name], *(float(each.replace(",", "")) for each in found.groups()))


def _number(cell: str) -> int:
    return int(cell.replace(",", ""))


def _plain_numbers(axes: Axes, which: str) -> None:
    """1,000, not ten to the third; and no ticks between those that are named."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="+", help="such as docs/benchmarks.md")
    parser.add_argument("--images", type=Path, default=IMAGES, help="the folder of the picture (%(default)s)")
    options = parser.parse_args()
    texts = [file.read_text("utf-8") for file in options.file]
    for written in latency_by_size(size_rows(*texts), options.images / SEARCHES):
        print(written)
