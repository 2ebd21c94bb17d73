"""The part of a document that a command writes, between two comments; the first of them names the command."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def read_part(page: Path, command: str) -> str:
    """What stands between the comments, without the empty lines around it. Raises ValueError where they are missing."""
    return _found(page, command)[2].strip("\n")


def write_part(page: Path, command: str, text: str) -> None:
    """Replace what stands between the comments. Raises ValueError where they are missing."""
    found = _found(page, command)
    page.write_text(f"{found[1]}\n{text}\n\n{found[3]}", "utf-8")


def _found(page: Path, command: str) -> re.Match[str]:
    comment = re.escape(f"<!-- written by: {command} -->\n")
    found = re.fullmatch(rf"(.*{comment})(.*?)(<!-- end -->.*)", page.read_text("utf-8"), re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no place for what `{command}` writes.")
    return found
