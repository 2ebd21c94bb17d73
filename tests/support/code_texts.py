"""What stands in the code as text: the messages that people read, and the slugs of the exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.processes import ROOT

ANY = "…"
"""In a quoted sentence: what differs from one time to another."""


def modules(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def texts(place: str) -> list[str]:
    """Every text in the code of a module or of all below a folder."""
    return [text for path in modules(place) for text in texts_of(path)]


@cache
def texts_of(path: Path) -> list[str]:
    """Every text in a module's code; what is put in as it runs is ANY."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else ANY for part in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def slugs_of_errors() -> Iterator[str]:
    """The slug of each FaceServiceError that is raised somewhere; a class that others only build on has no row."""
    classes: dict[str, ast.ClassDef] = {}
    made: set[str] = set()
    for path in modules("service", "indexer"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                made.add(node.func.id)

    def lineage(name: str) -> Iterator[ast.ClassDef]:
        if name in classes:
            yield classes[name]
            for base in classes[name].bases:
                yield from lineage(ast.unparse(base))

    for name in classes.keys() & made:
        family = list(lineage(name))
        if any(each.name == "FaceServiceError" for each in family):
            assigned = (node for each in family for node in each.body if isinstance(node, ast.Assign))
            yield next(ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "code")
