"""How the code is laid out: who imports whom, what is loaded late, who reads the environment, how large a module is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = {"torch", "torchvision", "facenet_pytorch", "safetensors"}
"""Seconds to import: only where weights are read, and only when needed."""

LINES_OF_A_MODULE = 250
LINES_OF_A_FUNCTION = 40
LARGER_MODULES: dict[str, int] = {}
"""What is longer, up to so many lines, since half of it would not be understood alone."""


@dataclass(frozen=True, slots=True)
class Import:
    """A line that imports: the full name, and whether it runs as the module is loaded."""

    name: str
    at_once: bool


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def modules(*folders: str) -> Iterator[tuple[str, Path]]:
    """Name and file of each module below these folders of the project."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, those in functions included; what only type checkers see isn't one."""

    def visit(node: ast.AST, *, at_once: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who is meant"
            yield from (Import(full(node.module or "", alias.name), at_once) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, at_once=at_once and not inside)

    return visit(tree(path), at_once=True)


def full(module: str, name: str) -> str:
    """`from service.models import selection` names that module; `from service.values import Box` service.values."""
    inside = ROOT / module.replace(".", "/") / name
    return f"{module}.{name}" if inside.is_dir() or inside.with_suffix(".py").is_file() else module


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.process
def test_the_layers_hold() -> None:
    """The contracts of import-linter in pyproject.toml: so a request passes each folder once and never turns back."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    result = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_errors_know_no_http() -> None:
    """What an error becomes is its API's business."""
    assert list(imports(ROOT / "service" / "errors.py")) == [Import("__future__", at_once=True)]


def test_the_service_itself_does_not_load_edge() -> None:
    """It holds the interpreter's lock, so it belongs into its own process: the shard's rooms import it at once."""
    rooms = "building compaction durable_shard faces filters integrity new_shards people renewal shard upgrade upkeep"
    of_the_shard = {"service.stores.edge.verification"} | {f"service.stores.edge.{each}" for each in rooms.split()}
    for name, path in modules("service"):
        if name not in of_the_shard:
            at_once = {each.name for each in imports(path) if each.at_once}
            assert not at_once & of_the_shard, name
            assert not any(each.startswith("qdrant_edge") for each in at_once), name


@pytest.mark.slow
def test_openvino_is_imported_in_one_place() -> None:
    """runtimes.import_openvino, which keeps its telemetry silent; a plain import would not."""
    for name, path in modules("service", "indexer", "scripts"):
        assert not [each for each in imports(path) if within(each.name, "openvino")], name
        if within(name, "service"):
            named = [each.value for each in ast.walk(tree(path)) if isinstance(each, ast.Constant)]
            assert ("openvino" in named) == (name == "service.models.runtimes"), name


def test_torch_is_imported_when_needed() -> None:
    """A service whose models are converted starts without it."""
    allowed = ("service.models.", "service.vision.")
    for name, path in modules("service", "indexer"):
        heavy = [each for each in imports(path) if any(within(each.name, package) for package in HEAVY)]
        assert not [each for each in heavy if each.at_once], name
        assert not heavy or name.startswith(allowed), name


def test_the_environment_is_read_at_the_entrance() -> None:
    """In __main__, or in the part of a script that runs only as a program; all else is told what to do."""
    for name, path in modules("service", "indexer", "scripts"):
        if name.endswith("__main__") or name.startswith("scripts.bench"):
            continue  # measurements start services in environments like their own
        for node in tree(path).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
                continue
            read = [each for each in ast.walk(node) if isinstance(each, ast.Attribute) and ast.unparse(each) in ENVIRON]
            assert not read, f"{name}, line {read[0].lineno}"


ENVIRON = {"os.environ", "os.getenv", "os.environb", "os.putenv"}


@pytest.mark.parametrize(("name", "path"), list(modules("service", "indexer", "scripts")), ids=str)
def test_a_module_fits_on_a_few_screens(name: str, path: Path) -> None:
    """And opens with one sentence on what it is for; a function fits on one."""
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= LARGER_MODULES.get(name, LINES_OF_A_MODULE)
    if not lines:
        return
    summary = (ast.get_docstring(tree(path)) or "").partition("\n\n")[0]
    assert summary.endswith((".", ":")), f"{name} does not say what it is for"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LINES_OF_A_FUNCTION, f"{name}.{node.name}"


def test_no_module_is_larger_without_need() -> None:
    """Who became small again is an exception no more."""
    sizes = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules("service", "indexer")}
    assert not [name for name in LARGER_MODULES if sizes.get(name, 0) <= LINES_OF_A_MODULE]


def test_protocols_stand_where_two_implementations_do() -> None:
    """So it is with Store, Migration, Embedder, ReplayMemory and UseRecord; one for one class would only hide it."""
    classes = [
        node
        for _, path in modules("service", "indexer")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    protocols = [each for each in classes if any(ast.unparse(base).startswith("Protocol") for base in each.bases)]
    assert protocols
    for protocol in protocols:
        real = [each.name for each in classes if each not in protocols and methods(each) >= methods(protocol)]
        assert len(real) > 1, f"{protocol.name}: {real}"


def methods(class_: ast.ClassDef) -> set[str]:
    """Names of the methods and of the attributes that its own methods set: a property may be either."""
    functions = [each for each in class_.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    stored = {
        node.attr
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
    return {each.name for each in functions} | stored


def test_the_map_names_every_room() -> None:
    """docs/architecture.md has a line for each module."""
    layout = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for name, path in modules("service", "indexer"):
        if path.name != "__init__.py":
            assert f" {path.name} " in layout, f"docs/architecture.md lacks {name}"
