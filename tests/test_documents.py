"""The documents say what the code does: tables, quoted sentences, links, commands, and what is written by commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

import indexer.__main__
import service.__main__
from scripts import module_map, settings_table
from scripts.generated import read_part
from service import errors, logs
from service.errors import FaceServiceError
from service.http import device_api, routes
from service.http.active_requests import ActiveRequests
from service.http.app import create_app
from service.http.compreface.failures import told_as
from service.http.compreface.table import NEEDS
from service.http.connection_limits import ConnectionLimits
from service.http.crowd_metrics import CrowdMetrics
from service.http.gallery_size import GallerySize
from service.http.keys import UPLOADS
from service.http.log_metrics import DroppedLines
from service.http.metrics import Metrics
from service.http.middlewares import answer_errors, record_requests
from service.http.request_log import RequestLog
from service.http.rest_api.openapi import codes_of
from service.http.rest_api.problems import HTTP_CODES, STATUSES, status_of
from service.http.uploads import Uploads
from service.log_writer import LogWriter
from service.settings import Settings
from service.values import Erasure
from tests.support.code_texts import ANY, slugs_of_errors, texts
from tests.support.markdown import anchors, code, links, rows, words
from tests.support.processes import ROOT

DOCS = ROOT / "docs"
REST_API = DOCS / "rest-api.md"
DEVICE_API, OPERATING = DOCS / "device-api.md", DOCS / "operating.md"
CONSOLE, COMPREFACE = DOCS / "console.md", DOCS / "compreface.md"
README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
OF_CLIENTS = {"FACE_ID", "FACE_URL", "FACE_KEY"}
"""Variables of the clients that pages show, and of the session with curl."""
TELL_OF_FORMER_NAMES = {"settings.md", "CHANGELOG.md"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


class TestTables:
    def test_requests(self) -> None:
        """Every method and path that the application answers, and no other: each API's on its own page."""
        known = create_app(Settings()).router.routes()
        answered = {(route.method, route.resource.canonical) for route in known if route.resource is not None}
        answered -= {("HEAD", path) for path in routes.OPEN_PATHS}  # which aiohttp adds
        operators = {each for each in answered if each[1] in routes.OPEN_PATHS}
        rest = {each for each in answered if each[1] in routes.REST_PATHS}
        console = {each for each in answered if each[1] in routes.CONSOLE_PATHS}
        assert set(requests_in(CONSOLE)) == console
        assert set(requests_in(DEVICE_API)) == answered - operators - rest - console
        assert set(requests_in(REST_API)) == rest - {("GET", routes.DOCS_STYLE)}
        assert set(requests_in(OPERATING)) == operators

    def test_requests_of_compreface(self) -> None:
        """Each with what a key must be allowed to do."""
        assert set(requests_in(COMPREFACE)) == set(NEEDS)
        needed = [words(row[1]) for row in rows(COMPREFACE, "Request")]
        assert needed == [[NEEDS[request]] for request in requests_in(COMPREFACE)]

    def test_failures_of_compreface(self) -> None:
        """Every reason that can be answered there, with its number and status."""
        told = {
            reason: (numbers, statuses)
            for numbers, statuses, reasons, *_ in rows(COMPREFACE, "Code")
            for reason in words(reasons)
        }
        found = [each for each in vars(errors).values() if isinstance(each, type)]
        classes = {each.code: each for each in found if issubclass(each, FaceServiceError)}
        of_devices = {"unknown_device", "bad_signature"}
        for reason in set(slugs_of_errors()) & set(classes) - of_devices:
            status, number = told_as(classes[reason])
            if status != 500:
                numbers, statuses = told.pop(reason)
                assert str(number) in numbers.split(", ")
                assert str(status) in statuses.split(", ")
        assert set(told) == {"unforeseen", *HTTP_CODES.values()}

    def test_codes(self) -> None:
        """The numbers and names of the contract."""
        constants = [value for name, value in vars(device_api).items() if name.isupper() and isinstance(value, tuple)]
        named = {value for value in constants if value[0] != 0}
        told = {(int(code), words(name)[0]) for code, name, _ in rows(DEVICE_API, "`code`", "`error`") if code != "0"}
        assert told == named

    def test_reasons(self) -> None:
        """Every slug that an exception brings stands in a table, and every slug of the tables in the code."""
        told = {words(row[0])[0] for page in (DEVICE_API, OPERATING) for row in rows(page, "Reason")}
        told |= {slug for row in rows(REST_API, "Status") for slug in words(row[1])}
        slugs = set(slugs_of_errors())
        assert told >= slugs
        assert told - slugs <= set(texts("service/http"))

    async def test_codes_of_reasons(self) -> None:
        """A device gets the codes that the table has for a reason, from the paths where that can come about."""
        found = [each for each in vars(errors).values() if isinstance(each, type)]
        classes = {each.code: each for each in found if issubclass(each, FaceServiceError)}
        for reason, numbers, *_ in rows(DEVICE_API, "Reason"):
            told = {int(number) for number in numbers.split(",")}
            assert told <= await codes_answered(classes[words(reason)[0]]), reason

    def test_statuses_of_reasons(self) -> None:
        """Below /v1: every slug that can be answered there, with its HTTP status."""
        told: dict[str, int] = {}
        for status, reasons, *_ in rows(REST_API, "Status"):
            told |= dict.fromkeys(words(reasons), int(status))
        answered = {code: status for status, code in HTTP_CODES.items()} | {"unforeseen": 500}
        for each in STATUSES:
            answered |= dict.fromkeys(codes_of(each), status_of(each))
        made = set(slugs_of_errors()) | {"unforeseen", *HTTP_CODES.values()}
        assert told == {code: status for code, status in answered.items() if code in made}

    @pytest.mark.parametrize(
        ("page", "header", "column"),
        [(DEVICE_API, "Reason", 2), (OPERATING, "The line says", 0)],
        ids=["reasons", "what stops a start"],
    )
    def test_quoted_sentences(self, page: Path, header: str, column: int) -> None:
        """Each is how a message in the code begins, or goes on behind what is filled in first."""
        quotes = [quote for row in rows(page, header) for quote in words(row[column])]
        assert quotes
        messages = [*texts("service"), *texts("indexer")]
        for quote in quotes:
            pattern = re.compile(".*".join(map(re.escape, quote.split(ANY))))
            assert any(map(pattern.match, messages)), f"{page.name} quotes what nothing says: {quote}"

    async def test_metrics(self) -> None:
        """Their names as Prometheus gets them, types and labels."""
        told = {}
        for cell, kind, _ in rows(OPERATING, "Metric"):
            name, _, labels = words(cell)[0].removesuffix("}").partition("{")
            told[name] = kind, set(filter(None, labels.split(",")))
        assert told == {name: shape async for name, shape in metrics_shown()}

    def test_fields_of_the_log(self) -> None:
        """In the order in which a line has them; after them come the stages and the sentence."""
        told = [words(row[0])[0] for row in rows(OPERATING, "Field")]
        assert told == [*logs._REQUEST_FIELDS, "ms", "detail"]


class TestReferences:
    @each_page
    def test_links(self, page: Path) -> None:
        """Files and headings are where links say."""
        for target in links(page):
            if not target.startswith(("http:", "https:")):
                name, _, anchor = target.partition("#")
                file = (page.parent / name).resolve() if name else page
                assert file.exists(), target
                assert not anchor or anchor in anchors(file), target

    def test_the_readme_leads_to_every_page(self) -> None:
        """A page that no link leads to is read by nobody."""
        linked = {target.partition("#")[0] for target in links(README)}
        assert {page.relative_to(ROOT).as_posix() for page in PAGES if page != README} <= linked

    @each_page
    def test_settings(self, page: Path) -> None:
        """Those that a page names exist; former names stand only where their change is told."""
        known = set(re.findall(r"FACE_[A-Z_]+", settings_table.tables()))
        former = {"FACE_DEVICE", "FACE_MODELS", "FACE_COLLECTION"} if page.name in TELL_OF_FORMER_NAMES else set()
        assert set(re.findall(r"FACE_[A-Z_]*[A-Z]", page.read_text("utf-8"))) <= known | former | OF_CLIENTS

    @each_page
    def test_make_targets(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        assert {target for line in code(page) for target in re.findall(r"\bmake ([a-z]+)", line)} <= targets

    @each_page
    def test_modules(self, page: Path) -> None:
        """What `python -m` runs can be run."""
        for line in code(page):
            for module in re.findall(r"python -m ((?:service|indexer|scripts)[\w.]*)", line):
                path = ROOT / module.replace(".", "/")
                assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), line

    @each_page
    def test_commands(self, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Each command of ours is one, and has the options that are given."""
        for line in code(page):
            for main, given in commands_in(line):
                named = [word for word in given if not word.startswith("-") and not word.isupper()]
                depth = 2 if named[:1] in (["devices"], ["keys"]) else 1
                with pytest.raises(SystemExit) as left:
                    main([*named[:depth], "--help"])
                shown = capsys.readouterr()
                assert left.value.code == 0, f"{line}: {shown.err}"
                for option in {word.partition("=")[0] for word in given if word.startswith("-")}:
                    assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown.out), f"{line}: {option}"

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
    assert len(README.read_text("utf-8").splitlines()) <= 150


def requests_in(page: Path) -> Iterator[tuple[str, str]]:
    """Methods and paths of the page's tables of requests."""
    for row in rows(page, "Request"):
        [path] = set(re.findall(r"/[a-z_][\w/.:{}]*|(?<= )/(?=`)", row[0]))
        for method in re.findall(r"\b[A-Z]{3,7}\b", row[0].partition("?")[0]):
            yield method, path


async def codes_answered(error: type[FaceServiceError]) -> set[int]:
    """The codes of the answers where handlers of the contract's paths raise this."""

    async def fail(_: web.Request) -> web.Response:
        raise error("It failed.")

    app = web.Application(middlewares=[record_requests(RequestLog(Metrics(), ()), ActiveRequests()), answer_errors()])
    app[UPLOADS] = Uploads(1)
    paths = [path for path in routes.ROUTES if path not in routes.OPEN_PATHS]
    app.add_routes([web.post(path, fail) for path in paths])
    async with TestClient(TestServer(app)) as client:
        return {(await (await client.post(path)).json())["code"] for path in paths}


async def metrics_shown() -> AsyncIterator[tuple[str, tuple[str, set[str]]]]:
    """Name, type and labels of each metric of our own, of a service that has answered a request."""

    async def count() -> int:
        return 1

    async def erasure() -> Erasure:
        return Erasure(pending_since=None, erased_at=1.0)

    metrics, size = Metrics(), GallerySize(count, erasure=erasure)
    metrics.show_build(version="1.0", model="casia-webface", precision="auto")
    metrics.show_waiting(photos=lambda: 0, crops=lambda: 0)
    metrics.show_gpu_memory(lambda: 0)
    metrics.show_gallery_size(size)
    metrics.show(DroppedLines(LogWriter()))
    metrics.show(CrowdMetrics(ConnectionLimits(at_once=1, by_address=1, trusted=()), Uploads(1)))
    metrics.show_moved(lambda: False)
    metrics.record("/recognition_face", code="0", reason="ok", took_s=0.1, stages_ms={"decode": 1.0})
    metrics.record_batch(1)
    for family in text_string_to_metric_families((await metrics.render()).decode()):
        if family.name.startswith("face_") and not family.name.endswith("_created"):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            yield family.name + ("_total" if family.type == "counter" else ""), (family.type, labels)


def commands_in(line: str) -> Iterator[tuple[Callable[[list[str]], int], list[str]]]:
    """The command lines of ours in a line of code: the function that takes them, and the words behind the name."""
    mains = {"service": service.__main__.main, "indexer": indexer.__main__.main}
    for name, rest in re.findall(r"(?:(?:^|bin/|(?<!-u)\s)face-|python -m )(service|indexer)((?: .*)?)$", line):
        given = [word for word in shlex.split(rest, comments=True) if word != "…"]
        yield mains[name], given[: given.index(">")] if ">" in given else given
