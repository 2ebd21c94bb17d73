"""The documents say what the code does: tables, quoted sentences, links, commands, and what is written by commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from indexer.__main__ import COMMANDS
from scripts import module_map, settings_table
from scripts.generated import read_part
from service import logs
from service.http import device_api
from service.http.app import create_app
from service.settings import Settings
from tests.support.processes import ROOT

DOCS = ROOT / "docs"
DEVICE_API, OPERATING = DOCS / "device-api.md", DOCS / "operating.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]

OPERATOR_PATHS = {"/healthz", "/readyz", "/metrics"}

ANY = "…"
"""In a quoted sentence: what differs from one time to another."""


class TestTables:
    def test_requests(self) -> None:
        """Every method and path that the application answers, and no other: devices' and operators' apart."""
        routes = create_app(Settings()).router.routes()
        answered = {(route.method, route.resource.canonical) for route in routes if route.resource is not None}
        answered -= {("HEAD", path) for path in OPERATOR_PATHS}  # which aiohttp adds
        operators = {each for each in answered if each[1] in OPERATOR_PATHS}
        assert set(requests_in(DEVICE_API)) == answered - operators
        assert set(requests_in(OPERATING)) == operators

    def test_codes(self) -> None:
        """The numbers and names of the contract."""
        constants = [value for name, value in vars(device_api).items() if name.isupper() and isinstance(value, tuple)]
        named = {value for value in constants if value[0] != 0}
        told = {(int(code), words(name)[0]) for code, name, _ in rows(DEVICE_API, "`code`", "`error`") if code != "0"}
        assert told == named

    def test_reasons(self) -> None:
        """Every slug that an exception brings stands in a table, and every slug of the tables in the code."""
        told = {words(row[0])[0] for page in (DEVICE_API, OPERATING) for row in rows(page, "Reason")}
        slugs = set(slugs_of_errors())
        assert told >= slugs
        assert told - slugs <= set(texts("service/http"))

    @pytest.mark.parametrize(
        ("page", "header", "column"),
        [(DEVICE_API, "Reason", 2), (OPERATING, "The line says", 0)],
        ids=["reasons", "what stops a start"],
    )
    def test_quoted_sentences(self, page: Path, header: str, column: int) -> None:
        """Each is, or is a part of, a message in the code."""
        quotes = [quote for row in rows(page, header) for quote in words(row[column])]
        assert quotes
        messages = [*texts("service"), *texts("indexer")]
        for quote in quotes:
            pattern = re.compile(".*".join(map(re.escape, quote.split(ANY))))
            assert any(map(pattern.search, messages)), f"{page.name} quotes what nothing says: {quote}"

    def test_metrics(self) -> None:
        """By their names; prometheus_client puts an end to those of counters and of what it calls info."""
        users = [path for path in modules("service") if "prometheus_client" in path.read_text("utf-8")]
        named = {text for path in users for text in texts_of(path) if re.fullmatch(r"face(_[a-z]+)+", text)}
        told = {words(row[0])[0].partition("{")[0] for row in rows(OPERATING, "Metric")}
        assert {name.removesuffix("_total").removesuffix("_info") for name in told} == named

    def test_fields_of_the_log(self) -> None:
        """In the order in which a line has them; after them come the stages and the sentence."""
        told = [words(row[0])[0] for row in rows(OPERATING, "Field")]
        assert told == [*logs._REQUEST_FIELDS, "ms", "detail"]


class TestReferences:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_links(self, page: Path) -> None:
        """Files and headings are where links say."""
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
            if not target.startswith(("http:", "https:")):
                name, _, anchor = target.partition("#")
                file = (page.parent / name).resolve() if name else page
                assert file.exists(), f"{page.name}: {target}"
                assert not anchor or anchor in anchors(file), f"{page.name}: {target}"

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_make_targets(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        assert {target for line in code(page) for target in re.findall(r"\bmake ([a-z]+)", line)} <= targets

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_commands(self, page: Path) -> None:
        """Modules, commands and options of ours exist."""
        commands = {"face-service": parsed("service", "add_parser"), "face-indexer": set(COMMANDS)}
        options = parsed("service", "add_argument") | parsed("indexer", "add_argument") | {"--help"}
        for line in code(page):
            for module in re.findall(r"python -m ((?:service|indexer|scripts)[\w.]*)", line):
                path = ROOT / module.replace(".", "/")
                assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page.name}: {line}"
            for script, rest in re.findall(r"(?:^|\s|bin/)(face-(?:service|indexer))((?: [\w./-]+)*)", line):
                given = rest.split()
                if given and given[0].islower() and given[0].isalpha():
                    assert given[0] in commands[script], f"{page.name}: {line}"
                assert {each for each in given if each.startswith("--")} <= options, f"{page.name}: {line}"

    def test_options_of_an_import(self) -> None:
        """The table has those that the command has."""
        told = {
            option
            for row in rows(DOCS / "galleries.md", "Option")
            for word in [*words(row[0]), *words(row[1])]
            for option in re.findall(r"--[a-z-]+", word)
        }
        here = {text for text in texts("indexer/commands/index.py") if re.fullmatch(r"--[a-z-]+", text)}
        assert told | {"--report"} == here


class TestWritten:
    def test_settings(self) -> None:
        """`python -m scripts.settings_table` has been run since a setting came, went or got another meaning."""
        assert read_part(settings_table.PAGE, settings_table.COMMAND) == settings_table.tables()

    def test_map_of_modules(self) -> None:
        """`python -m scripts.module_map` has been run since a module came, went or got another purpose."""
        assert read_part(module_map.PAGE, module_map.COMMAND) == module_map.tables()


def test_the_readme_fits_on_a_page_or_two() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def rows(page: Path, *header: str) -> Iterator[list[str]]:
    """The cells of each row of the page's tables whose first columns are headed so."""
    inside = False
    for line in page.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if tuple(cells[: len(header)]) == header:
            inside = True
        elif not cells:
            inside = False
        elif inside and set(line) - set("| -:"):
            yield cells


def requests_in(page: Path) -> Iterator[tuple[str, str]]:
    """Methods and paths of the page's tables of requests."""
    for row in rows(page, "Request"):
        [path] = set(re.findall(r"/[a-z_]+", row[0]))
        for method in re.findall(r"\b[A-Z]{3,7}\b", row[0].partition("?")[0]):
            yield method, path


def words(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def code(page: Path) -> list[str]:
    """The lines of the page's blocks of code, and what stands in backquotes elsewhere."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", "").splitlines()] + words(without_blocks(page))


def without_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def without_code(page: Path) -> str:
    return re.sub(r"`[^`]*`", "", without_blocks(page))


@cache
def anchors(page: Path) -> set[str]:
    """The headings as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


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


def parsed(place: str, method: str) -> set[str]:
    """What the code gives argparse as the name of a command (add_parser) or of an option (add_argument)."""
    calls = (node for path in modules(place) for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return {
        node.args[0].value
        for node in calls
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }


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
