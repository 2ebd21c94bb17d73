"""Who may import whom: the rooms stand in floors, and a room knows only what is below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = (
    "service.__main__ indexer.__main__",
    "service.app indexer.export_gallery indexer.import_gallery indexer.reembed indexer.index",
    "indexer.ways indexer.optimize indexer.stats",
    "indexer.ray_engines indexer.service_client indexer.keeper",
    "indexer.looking",
    "indexer.pipeline",
    "indexer.failures indexer.report indexer.patience indexer.opened",
    "indexer.journal",
    "indexer.source",
    "indexer.outcomes",
    "service.authentication service.middlewares service.operator_api service.device_commands",
    "indexer.archive_reader indexer.archive_writer indexer.stored_pictures",
    "service.device_api service.rest_api indexer.archive indexer.compression indexer.progress",
    "service.multipart service.health service.serving",
    "service.gallery",
    "service.devices service.nonces service.rates",
    "service.auth",
    "service.engine service.stores",
    "service.detector service.embedder service.batcher",
    "service.networks",
    "service.models service.images service.pyramid",
    "service.sources service.averages service.boxes",
    "service.conversion service.model_folder",
    "service.frozen_graph",
    "service.memory service.logs service.metrics service.stages service.in_hand service.faces service.settings",
    "service.errors",
)
"""From the street down to the cellar. A new room gets its place here; stores are one room with its own stairs."""

STORE_FLOORS = (
    "service.stores.edge_succession service.stores.server_succession",
    "service.stores.edge",
    "service.stores.edge_link",
    "service.stores.edge_process",
    "service.stores.edge_shard",
    "service.stores.edge_folder service.stores.server",
    "service.stores.server_collection",
    "service.stores.server_link",
    "service.stores.payload service.stores.contracts service.stores.listing",
)

HTTP = {
    *("service.__main__", "service.app", "service.middlewares", "service.operator_api", "service.device_api"),
    *("service.rest_api", "service.multipart", "service.serving", "service.authentication"),
}
"""The rooms with doors to the street: the indexer knows none of them."""

KNOW_AIOHTTP = HTTP | {"indexer.service_client"}
"""The doors, and who knocks at one."""

BEHIND_THE_GALLERY = {"service.engine", "service.stores", "service.detector", "service.embedder", "service.models"}
"""What the doors reach only through the gallery; app puts the rooms together, and may know all."""

HEAVY = {"torch", "torchvision", "facenet_pytorch", "safetensors.torch"}
"""Seconds to import: only where weights are read, and only when needed."""

LINES_OF_A_MODULE = 260
LINES_OF_A_FUNCTION = 45


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

    def visit(node: ast.AST, at_once: bool) -> Iterator[Import]:
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
                yield from visit(child, at_once and not inside)

    return visit(tree(path), True)


def full(module: str, name: str) -> str:
    """`from service import models` names the module service.models; `from service.faces import Box` service.faces."""
    inside = ROOT / module.replace(".", "/") / name
    return f"{module}.{name}" if inside.is_dir() or inside.with_suffix(".py").is_file() else module


def room(name: str) -> str:
    """Its place in FLOORS: all of stores is one."""
    return "service.stores" if name.startswith("service.stores") else name


def floor(name: str, floors: tuple[str, ...]) -> int:
    found = [number for number, names in enumerate(floors) if name in names.split()]
    assert len(found) == 1, f"{name} needs its place in FLOORS of {Path(__file__).name}"
    return found[0]


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


ROOMS = [(name, path) for name, path in modules("service", "indexer") if name not in ("service", "indexer")]


@pytest.mark.parametrize(("name", "path"), ROOMS, ids=[name for name, _ in ROOMS])
def test_a_room_knows_only_what_is_below_it(name: str, path: Path) -> None:
    """So a request passes each room once and never turns back, and no two rooms need each other."""
    for each in imports(path):
        if within(each.name, "service") or within(each.name, "indexer"):
            if room(name) != room(each.name):
                assert floor(room(name), FLOORS) < floor(room(each.name), FLOORS), f"{name} imports {each.name}"
            elif name in " ".join(STORE_FLOORS).split() and each.name in " ".join(STORE_FLOORS).split():
                assert floor(name, STORE_FLOORS) < floor(each.name, STORE_FLOORS), f"{name} imports {each.name}"


@pytest.mark.parametrize("name", sorted(HTTP - {"service.app", "service.__main__"}))
def test_the_doors_reach_models_and_stores_through_the_gallery(name: str) -> None:
    path = ROOT / (name.replace(".", "/") + ".py")
    if not path.exists():
        pytest.skip("not built yet")
    assert not {room(each.name) for each in imports(path)} & BEHIND_THE_GALLERY


def test_the_indexer_knows_no_door() -> None:
    for name, path in modules("indexer"):
        assert not {each.name for each in imports(path)} & HTTP, name


def test_aiohttp_stays_at_the_doors() -> None:
    for name, path in modules("service", "indexer"):
        if name not in KNOW_AIOHTTP:
            assert not [each for each in imports(path) if within(each.name, "aiohttp")], name


def test_errors_know_no_http() -> None:
    """What an error becomes is its API's business."""
    assert list(imports(ROOT / "service" / "errors.py")) == [Import("__future__", True)]


def test_qdrant_stays_in_the_stores() -> None:
    for name, path in modules("service", "indexer"):
        if room(name) != "service.stores":
            assert not [each for each in imports(path) if each.name.startswith(("qdrant", "grpc"))], name


def test_the_service_itself_does_not_load_edge() -> None:
    """It holds the interpreter's lock, so it belongs into its own process: only the shard's room imports it at once."""
    for name, path in modules("service"):
        if name != "service.stores.edge_shard":
            at_once = {each.name for each in imports(path) if each.at_once}
            assert "service.stores.edge_shard" not in at_once, name
            assert not any(each.startswith("qdrant_edge") for each in at_once), name


def test_openvino_is_imported_in_one_place() -> None:
    """conversion.import_openvino, which keeps its telemetry silent; a plain import would not."""
    for name, path in modules("service", "indexer", "scripts"):
        assert not [each for each in imports(path) if within(each.name, "openvino")], name
        if within(name, "service"):
            named = [each.value for each in ast.walk(tree(path)) if isinstance(each, ast.Constant)]
            assert ("openvino" in named) == (name == "service.conversion"), name


def test_torch_is_imported_when_needed() -> None:
    """A service whose models are converted starts without it."""
    allowed = {"service.models", "service.detector", "service.embedder", "service.conversion"}
    for name, path in modules("service", "indexer"):
        heavy = [each for each in imports(path) if any(within(each.name, package) for package in HEAVY)]
        assert not [each for each in heavy if each.at_once], name
        assert not heavy or name in allowed, name


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


@pytest.mark.parametrize(("name", "path"), list(modules("service", "indexer", "scripts")), ids=lambda value: str(value))
def test_a_module_fits_on_a_few_screens(name: str, path: Path) -> None:
    """And opens with one sentence on what it is for; a function fits on one."""
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= LINES_OF_A_MODULE
    if not lines:
        return
    summary = (ast.get_docstring(tree(path)) or "").partition("\n\n")[0]
    assert summary.endswith((".", ":")), f"{name} does not say what it is for"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LINES_OF_A_FUNCTION, f"{name}.{node.name}"


def test_protocols_stand_where_two_implementations_do() -> None:
    """Store, Succession, Embedder and Nonces."""
    found = {
        node.name
        for _, path in modules("service", "indexer")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }
    assert found <= {"Store", "Succession", "Embedder", "Nonces"}


def test_the_map_names_every_room() -> None:
    """README.md's last section has one line a module."""
    layout = (ROOT / "README.md").read_text("utf-8").partition("## Layout")[2]
    for name, path in modules("service", "indexer"):
        if room(name) == name and name not in ("service", "service.stores", "indexer"):
            assert f"\n  {path.name} " in layout, f"README.md's layout lacks {name}"
