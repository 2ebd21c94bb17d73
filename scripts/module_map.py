"""Writes the map of modules into docs/architecture.md: what each is for, from the first sentence of its docstring.

python -m scripts.module_map
"""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

from scripts.generated import DOCS, write_part

PAGE = DOCS / "architecture.md"
COMMAND = "python -m scripts.module_map"
PACKAGES = ("service", "indexer")

_ROOT = DOCS.parent


def main() -> None:
    """Write the page anew."""
    write_part(PAGE, COMMAND, tables())


def tables() -> str:
    """Markdown: a heading and a table for each folder, one row for each module."""
    modules = [path for package in PACKAGES for path in (_ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    modules.sort(key=lambda path: (PACKAGES.index(path.relative_to(_ROOT).parts[0]), path.parent, path.name))
    folders = groupby(modules, key=lambda path: path.parent)
    return "\n\n".join(_table(folder, list(paths)) for folder, paths in folders)


def _table(folder: Path, paths: list[Path]) -> str:
    lines = [f"### {folder.relative_to(_ROOT)}", "", "| Module | What it is for |", "| --- | --- |"]
    for path in paths:
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        purpose = " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")
        lines.append(f"| {path.name} | {purpose} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
