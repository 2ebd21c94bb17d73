"""A real Chromium on the console of a running service; `make test-browser` runs these tests."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from PIL import Image

from tests.support.device import Client, jpeg

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

HERE = Path(__file__).parent
ANSWER_MS = 30_000
"""Longest wait for what needs the models, on a machine that has other work too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a browser."""
    for item in items:
        if HERE in item.path.parents:
            for marker in (pytest.mark.browser, pytest.mark.slow, pytest.mark.process):
                item.add_marker(marker)


@dataclass(slots=True)
class Console:
    """A tab with the console; `errors` are those of its scripts and of its policy."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(ANSWER_MS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if "Policy" in said.text else None)

    async def show(self, view: str) -> None:
        """Go to a view, such as `people/Zoe`, and wait for its heading."""
        await self.page.goto(f"{self.url}/#/{view}")
        await self.page.locator("h1").wait_for()

    def button(self, name: str, *, exact: bool = True) -> Locator:
        return self.page.get_by_role("button", name=name, exact=exact)

    async def choose(self, *paths: Path) -> None:
        """Choose photos where the view takes them."""
        await self.page.set_input_files("input[type=file]", [str(path) for path in paths])

    async def register(self, name: str, *paths: Path) -> None:
        """Through the page, until each photo has its outcome."""
        await self.show("register")
        outcomes = self.page.locator(".outcome.good, .outcome.bad, .outcome.doubtful")
        before = await outcomes.count()
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.choose(*paths)
        await self.page.locator("button[type=submit]").click()
        await outcomes.nth(before + len(paths) - 1).wait_for()


@pytest.fixture(scope="session")
def pictures(photos: Path, portraits: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a JPEG of each portrait, cat.jpg without a face, and group.jpg with obama, biden and astronaut."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, portrait in portraits.items():
        (folder / f"{name}.jpg").write_bytes(portrait)
    with Image.open(photos / "chelsea.png") as cat:
        (folder / "cat.jpg").write_bytes(jpeg(cat.convert("RGB"), quality=90))
    group = Image.new("RGB", (740, 260), (120, 120, 120))
    for index, name in enumerate(("obama2", "biden", "astronaut")):
        with Image.open(io.BytesIO(portraits[name])) as opened:
            group.paste(opened, (250 * index, 10))
    (folder / "group.jpg").write_bytes(jpeg(group, quality=95))
    return folder


@pytest.fixture(scope="session")
def camera_film(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's camera sees: obama, for ever."""
    film = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    with Image.open(photos / "obama.jpg") as photo:
        frame = jpeg(
            photo.convert("RGB").crop((0, 0, photo.width, photo.width * 3 // 4)).resize((640, 480)), quality=90
        )
    film.write_bytes(frame * 2)
    return film


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(camera_film: Path) -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "There is no Chromium; install Debian's package chromium."
    arguments = [
        "--no-sandbox",  # which root can't have, as whom CI runs
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_film}",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
def tab_options() -> dict[str, Any]:
    """Of the browser's tab; a module may have its own."""
    return {"locale": "en-GB", "viewport": {"width": 1200, "height": 800}}


@pytest_asyncio.fixture(loop_scope="module")
async def console(service: Client, browser: Browser, tab_options: dict[str, Any]) -> AsyncIterator[Console]:
    """A new tab, of a service whose gallery is empty; no script may fail in it."""
    context = await browser.new_context(**tab_options)
    console = Console(await context.new_page(), str(service.make_url("")).rstrip("/"))
    yield console
    await context.close()
    assert console.errors == []


@pytest_asyncio.fixture(loop_scope="module")
async def empty(service: Client) -> None:
    """The gallery of the module's service has nobody."""
    async with service.get("/v1/faces?limit=1000") as response:
        faces = (await response.json())["faces"]
    for face in faces:
        async with service.delete(f"/v1/faces/{face['face_id']}") as response:
            assert response.status == 204
