"""The API's document is what the service does: routes, shapes, statuses, and what a tester of documents finds."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import jsonschema_rs
import pytest
from aiohttp import web

from service.http import routes
from service.http.app import create_app
from service.http.forms import FormLimits
from service.http.rest_api.openapi import parameters
from service.http.rest_api.operations import Takes
from service.http.rest_api.paths import resource_path
from service.http.rest_api.table import OPERATIONS, rest_routes
from service.settings import Settings
from tests.http.rest_api.conftest import DOCUMENT, Caller
from tests.support.device import Client
from tests.support.processes import ROOT

HERE = Path(__file__).parent

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_routes_and_document_agree() -> None:
    """Every path below /v1 that the application answers is described, and no other."""
    documented = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    known = create_app(Settings()).router.routes()
    answered = {(each.method, each.resource.canonical) for each in known if each.resource is not None}
    assert documented == {each for each in answered if each[1].startswith(f"{routes.V1}/")}
    names = [each.name for each in OPERATIONS]
    assert len(set(names)) == len(names)


async def test_the_document_is_valid(caller: Caller) -> None:
    """Its schemas are, and the examples fit them."""
    async with caller.http.get("/openapi.json") as response:
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert await response.json() == DOCUMENT
    assert DOCUMENT["openapi"] == "3.1.0"
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, response_ in operation["responses"].items():
                for content in response_.get("content", {}).values():
                    if "example" in content:
                        schema = {**content["schema"], "components": DOCUMENT["components"]}
                        assert jsonschema_rs.is_valid(schema, content["example"]), (method, path, status)


async def test_every_operation_is_told_what_it_takes() -> None:
    """A body where it reads one, and each parameter in words."""
    for operation in OPERATIONS:
        told = DOCUMENT["paths"][operation.path][operation.method.lower()]
        assert ("requestBody" in told) == (operation.takes is not Takes.NOTHING)
        assert {each["name"] for each in parameters(operation) if each["in"] == "query"} == set(
            operation.query.model_fields
        )
        assert all("description" in each for each in told["parameters"] if each["in"] == "query")
        assert {"400", "401", "500", "503"} <= set(told["responses"])


async def test_the_page_needs_nothing_but_itself(caller: Caller) -> None:
    """No script, nothing from another host, and its policy forbids both; every code has a place to link to."""
    async with caller.http.get("/docs") as response:
        page = await response.text()
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'self'"
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script" not in page
    assert "style=" not in page
    assert "//" not in page.replace("<!doctype html>", "").replace("application/", "")
    for code in ("unknown_face", "invalid_request", "method_not_allowed", "uri_not_found", "unforeseen", "face_dark"):
        assert f"id='{code}'" in page
    for operation in OPERATIONS:
        assert f"id='{operation.name}'" in page
    async with caller.http.get("/docs/style.css") as response:
        assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        assert "http" not in await response.text()


async def test_the_handlers_go_by_the_description() -> None:
    """Each operation is one route, whose method and path are the operation's."""
    made = [each for each in rest_routes(FormLimits(max_image_bytes=1, receive_s=1)) if isinstance(each, web.RouteDef)]
    assert [(each.method, each.path) for each in made[: len(OPERATIONS)]] == [
        (each.method, resource_path(each.path)) for each in OPERATIONS
    ]


@pytest.mark.slow
@pytest.mark.process
async def test_schemathesis_finds_nothing(service: Client, portraits: dict[str, bytes], tmp_path: Path) -> None:
    """It asks every operation what the document allows and what it forbids, and checks every answer."""
    for name in ("obama", "biden"):
        (tmp_path / f"{name}.jpg").write_bytes(portraits[name])
    url = service.make_url("/openapi.json")
    command = [
        str(Path(sys.executable).with_name("st")),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        str(url),
    ]
    command += ["--checks", "all", "--max-examples", "10", "--seed", "1", "--continue-on-failure", "--no-color"]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.http.rest_api.schemathesis_hooks",
        "SCHEMATHESIS_PHOTOS": str(tmp_path),
    }
    running = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()[-6000:]
    assert f"Tested: {len(OPERATIONS)}" in said.decode()
