"""Reads Markdown as far as the tests of the documents need it: tables, headings, links and code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Table:
    """The names of a table's columns, and its rows, one text for each column."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def column(self, name: str) -> list[str]:
        return [row[self.columns.index(name)] for row in self.rows]


def tables(path: Path) -> list[Table]:
    """Every table of a document, in order; those within fences are none."""
    found: list[Table] = []
    inside = False
    for line in _FENCE.sub("", path.read_text("utf-8")).splitlines():
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|")) if line.startswith("|") else ()
        if not cells:
            inside = False
        elif not inside:
            found.append(Table(cells))
            inside = True
        elif set("".join(cells)) - set("-: "):  # not the line below the columns' names
            assert len(cells) == len(found[-1].columns), f"{path.name}: {line}"
            found[-1].rows.append(cells)
    return found


def table(path: Path, first_column: str) -> Table:
    """The one table of a document whose first column has that name."""
    (found,) = [each for each in tables(path) if each.columns[0] == first_column]
    return found


def spans(text: str) -> list[str]:
    """What stands in backquotes."""
    return _SPAN.findall(text)


def anchors(path: Path) -> set[str]:
    """What a link may name behind `#`, by GitHub's rule: small letters, hyphens for spaces, no punctuation."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings}


def links(path: Path) -> list[str]:
    """Every link's target, those in code left out."""
    return _LINK.findall(_SPAN.sub("", _FENCE.sub("", path.read_text("utf-8"))))


def code(path: Path) -> Iterator[str]:
    """Each line of the fences, lines that a backslash continues as one; and each text in backquotes outside of them."""
    text = path.read_text("utf-8")
    for fence in _FENCE.findall(text):
        yield from fence.replace("\\\n", " ").splitlines()[1:-1]
    yield from spans(_FENCE.sub("", text))
