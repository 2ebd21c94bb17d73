"""Reads Markdown as far as the tests of the documents need it: tables, headings, links and code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def rows(page: Path, *header: str) -> Iterator[list[str]]:
    """The cells of each row of the page's tables whose first columns are headed so."""
    inside = False
    for line in without_blocks(page).splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if tuple(cells[: len(header)]) == header:
            inside = True
        elif not cells:
            inside = False
        elif inside and set(line) - set("| -:"):
            yield cells


def words(text: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def code(page: Path) -> list[str]:
    """The lines of the page's blocks of code, and what stands in backquotes elsewhere."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()] + words(without_blocks(page))


def links(page: Path) -> list[str]:
    """Every link's target; what stands in code is none."""
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", without_blocks(page)))


@cache
def anchors(page: Path) -> set[str]:
    """The headings as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def without_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
