"""The console as a page: in two languages, on a phone, for everybody, quickly, and when the service is away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from tests.browser.conftest import ANSWER_MS, Console
from tests.browser.test_people import register
from tests.conftest import MODELS
from tests.support.device import Client

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("empty")]

VIEWS = ("recognise", "register", "people", "import", "devices", "status", "backup")
AXE = "axe-playwright-python==0.1.8"
"""Wheel with axe.min.js (MPL 2.0), which finds what keeps people from using a page."""


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core."""
    path: Path = pytestconfig.cache.mkdir("axe") / "axe.min.js"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(path.parent), AXE]
        subprocess.run(command, check=True)
        [wheel] = path.parent.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read("axe_playwright_python/axe.min.js"))
    return path.read_text("utf-8")


async def filled(console: Console, pictures: Path) -> None:
    """A gallery with somebody in it."""
    await console.register("Barack", pictures / "obama.jpg")


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_that_is_serious(console: Console, pictures: Path, axe: str, colours: str) -> None:
    """In any view, with a photo recognised, and in a question."""
    await console.page.add_init_script(axe)
    await filled(console, pictures)
    await console.page.get_by_label("Colours").select_option(colours)

    async def check(what: str) -> None:
        found = json.loads(await console.page.evaluate("axe.run().then((found) => JSON.stringify(found.violations))"))
        told = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in {"serious", "critical"}]
        assert told == [], what

    await check("after a registration")
    for view in (*VIEWS, "people/Barack"):
        await console.show(view)
        await console.page.wait_for_load_state("networkidle")
        await check(view)
    await console.button("Delete the person").click()
    await check("a question")
    await console.page.keyboard.press("Escape")
    await console.show("recognise")
    await console.choose(pictures / "group.jpg")
    await expect(console.page.locator(".card")).to_have_count(3, timeout=ANSWER_MS)
    await check("a recognition")


async def test_the_keyboard_reaches_everything(console: Console) -> None:
    """The first stop skips the navigation; a view can be chosen, and the focus goes to it."""
    await console.show("recognise")
    await console.page.keyboard.press("Tab")
    await expect(console.page.get_by_text("Skip to the content")).to_be_focused()
    for _ in range(3):
        await console.page.keyboard.press("Tab")
    await expect(console.page.get_by_role("link", name="People")).to_be_focused()
    await console.page.keyboard.press("Enter")
    await expect(console.page.locator("h1")).to_have_text("People")
    await expect(console.page.locator("main")).to_be_focused()


async def test_chinese_and_english(console: Console) -> None:
    """The choice is for all views, and outlives the page."""
    await console.show("people")
    await console.page.get_by_label("Language").select_option("zh")
    await expect(console.page.locator("h1")).to_have_text("人员")
    await expect(console.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await console.page.reload()
    await expect(console.page.get_by_role("link", name="识别")).to_be_visible()
    for view in VIEWS:
        await console.show(view)
        await console.page.wait_for_load_state("networkidle")
        text = await console.page.locator("main").inner_text()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text), view
    await console.page.get_by_label("语言").select_option("en")
    await expect(console.page.locator("h1")).to_have_text("Backup")


class TestPhone:
    @pytest.fixture
    def tab_options(self) -> dict[str, Any]:
        size = {"width": 360, "height": 740}
        return {"locale": "zh-CN", "viewport": size, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}

    async def test_nothing_is_wider_than_the_screen(self, console: Console, pictures: Path, service: Client) -> None:
        """And the texts are in the phone's language."""
        await register(service, pictures / "obama.jpg", "W" * 300)
        for view in (*VIEWS, "people/" + "W" * 300):
            await console.show(view)
            await console.page.wait_for_load_state("networkidle")
            assert await console.page.evaluate("document.documentElement.scrollWidth") <= 360, view
        await console.show("recognise")
        await console.choose(pictures / "group.jpg")
        await expect(console.page.locator(".summary")).to_contain_text("共 3 张人脸", timeout=ANSWER_MS)
        assert await console.page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_the_service_is_away(console: Console, pictures: Path) -> None:
    """The page says so, and goes on when it is back."""
    await console.show("people")
    await console.page.context.set_offline(True)
    await console.page.get_by_role("link", name="Status").click()
    await expect(console.page.get_by_role("alert")).to_have_text("The service can't be reached.")
    await console.page.get_by_role("link", name="Register").click()
    await console.page.get_by_label("Name", exact=True).fill("Barack")
    await console.choose(pictures / "obama.jpg")
    await console.button("Register 1 photo").click()
    await expect(console.page.locator(".outcome.bad")).to_contain_text("The service can't be reached.")
    await console.page.context.set_offline(False)
    await console.page.get_by_role("link", name="Status").click()
    await expect(console.page.locator(".facts")).to_contain_text("Version")


async def test_a_service_that_is_away_at_the_start(console: Console) -> None:
    await console.page.route("**/v1/**", lambda route: route.abort())
    await console.page.goto(console.url)
    await expect(console.page.get_by_role("alert")).to_have_text("The service can't be reached.")
    await console.page.unroute("**/v1/**")
    await console.button("Try again").click()
    await expect(console.page.locator("h1")).to_have_text("Recognise")


async def test_it_is_painted_within_a_second_and_asks_nobody_else(console: Console) -> None:
    asked: list[str] = []
    console.page.on("request", lambda request: asked.append(request.url))
    await console.show("recognise")
    painted = await console.page.evaluate(
        "new Promise((told) => new PerformanceObserver((list) => told(list.getEntries()[0].startTime))"
        ".observe({type: 'paint', buffered: true}))"
    )
    assert painted < 1000
    assert asked
    assert {url.removeprefix(console.url).split("/")[1] for url in asked} <= {"", "console", "v1"}


async def test_the_state_of_the_service(console: Console, pictures: Path) -> None:
    await filled(console, pictures)
    await console.show("register")
    await filled(console, pictures)
    await console.show("status")
    await expect(console.page.locator(".facts")).to_contain_text("casia-webface")
    await expect(console.page.locator(".warnings")).to_contain_text("Nobody has to sign in")
    await expect(console.page.locator(".stages")).to_contain_text("Find faces")
    await console.show("devices")
    await expect(console.page.locator("tbody tr")).to_contain_text("127.0.0.1")


class TestGalleries:
    async def test_another_gallery_is_chosen(self, console: Console, service: Client, pictures: Path) -> None:
        """What is done then is done there."""
        async with service.put("/v1/galleries/visitors") as response:
            assert response.status in {200, 201}
        await console.show("people")
        await console.page.get_by_label("Gallery").select_option("visitors")
        await filled(console, pictures)
        async with service.get("/v1/faces?gallery=visitors") as response:
            assert [face["remark"] for face in (await response.json())["faces"]] == ["Barack"]
        async with service.get("/v1/faces") as response:
            assert (await response.json())["faces"] == []
        async with service.delete("/v1/galleries/visitors") as response:
            assert response.status == 204


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data=tmp_path_factory.mktemp("data"), model_dir=MODELS, model="casia-webface", threshold="auto")


async def test_the_export_is_a_download(console: Console, pictures: Path) -> None:
    """Where the browser can't write to a file of the operator's choice."""
    await console.page.add_init_script("delete window.showSaveFilePicker")
    await filled(console, pictures)
    await console.page.reload()
    await console.show("backup")
    async with console.page.expect_download() as downloading:
        await console.button("Download the export").click()
    path = await (await downloading.value).path()
    await expect(console.page.locator("main [role=status]")).to_contain_text("Complete")
    assert remarks_of(await asyncio.to_thread(path.read_text, "utf-8")) == ["Barack"]


async def test_the_export_is_written_to_the_file_that_was_chosen(console: Console, pictures: Path) -> None:
    """As it comes, so that it needn't fit into memory; here the file is one of the browser's own."""
    file = "navigator.storage.getDirectory().then((folder) => folder.getFileHandle('faces.jsonl', {create: true}))"
    await console.page.add_init_script(f"window.showSaveFilePicker = () => {file}")
    await filled(console, pictures)
    await console.page.reload()
    await console.show("backup")
    await console.button("Download the export").click()
    await expect(console.page.locator("main [role=status]")).to_contain_text("Complete")
    written = await console.page.evaluate(f"{file}.then((handle) => handle.getFile()).then((saved) => saved.text())")
    assert remarks_of(written) == ["Barack"]


def remarks_of(export: str) -> list[str]:
    """Of all faces, between the head and the end."""
    return [json.loads(line)["remark"] for line in export.splitlines()[1:-1]]
