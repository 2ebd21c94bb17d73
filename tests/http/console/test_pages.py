"""The console's files as they are served, and under which policy."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from aiohttp import ClientResponse

from service.http.console.pages import static_files
from service.settings import Settings
from tests.conftest import Start
from tests.support.device import Client, Device

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILES = static_files()
SCRIPTS = {name: file.body.decode() for name, file in FILES.items() if name.endswith(".js")}


async def test_the_page_and_all_that_it_names(service: Client) -> None:
    """Each file with its type; the modules that a module imports are there."""
    async with service.get("/") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        page = await response.text()
    named = set(re.findall(r'(?:href|src)="/console/([^"]+)"', page))
    assert named == {"icon.svg", "style.css", "main.js"}
    for name, script in SCRIPTS.items():
        folder = name.rpartition("/")[0]
        for imported in re.findall(r'^import .* from "\./([^"]+)";$', script, re.MULTILINE):
            assert f"{folder}/{imported}".strip("/") in SCRIPTS, name
    for name in FILES.keys() - {"index.html"}:
        async with service.get(f"/console/{name}") as response:
            assert response.status == 200
            assert await response.read() == FILES[name].body
            assert_safe(response)


def assert_safe(response: ClientResponse) -> None:
    """Scripts come from the service only, no text becomes one, and nobody frames the page."""
    policy = dict(each.split(" ", 1) for each in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_a_file_that_the_browser_has_is_not_sent_again(service: Client) -> None:
    for path in ("/", "/console/main.js"):
        async with service.get(path) as response:
            tag = response.headers["ETag"]
            assert response.headers["Cache-Control"] == "no-cache"
            assert_safe(response)
        async with service.get(path, headers={"If-None-Match": tag}) as response:
            assert response.status == 304
            assert await response.read() == b""
        async with service.get(path, headers={"If-None-Match": '"another"'}) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "path", ["", "index.html", "pages.py", "../pages.py", "..%2Fpages.py", "words", "words/", "%00", "a" * 5000, "%FF"]
)
async def test_what_is_no_file_of_the_console(device: Device, path: str) -> None:
    """It is answered like every path that isn't there."""
    await device.fails(1000, "GET", f"/console/{path}")


async def test_other_methods(device: Device) -> None:
    for method in ("POST", "PUT", "DELETE"):
        await device.fails(1000, method, "/")
        await device.fails(1000, method, "/console/main.js")


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
async def test_a_service_without_it(start: Start, settings: Settings) -> None:
    """FACE_CONSOLE=no."""
    device = Device(await start(replace(settings, console=False)))
    for path in ("/", "/console/main.js"):
        await device.fails(1000, "GET", path)
