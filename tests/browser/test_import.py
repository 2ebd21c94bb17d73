"""The console imports a folder: each file has its outcome, and the report has them all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import ANSWER_MS, Console
from tests.browser.test_people import faces
from tests.support.device import Client, jpeg

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("empty")]


@pytest.fixture
def folder(tmp_path: Path, portraits: dict[str, bytes], pictures: Path) -> Path:
    """30 photos of 3 people, ten files each, one of them a cat's, and what is no photo at all."""
    folder = tmp_path / "people"
    for name in ("obama", "biden", "astronaut"):
        (folder / name).mkdir(parents=True)
        with Image.open(io.BytesIO(portraits[name])) as portrait:
            for number in range(10):
                content = jpeg(portrait.convert("RGB"), quality=70 + number)
                (folder / name / f"{number}.jpg").write_bytes(content)
    (folder / "biden" / "0.jpg").write_bytes((pictures / "cat.jpg").read_bytes())
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.jpg").write_text("no photo")
    return folder


async def test_a_folder_of_thirty_files(console: Console, service: Client, folder: Path) -> None:
    await console.show("import")
    await console.page.get_by_label("Folder").set_input_files(folder)
    await expect(console.page.get_by_text("30 photos, people: 3.")).to_be_visible()
    await console.button("Import").click()
    finished = "Finished. 30 of 30: 29 registered, 1 refused."
    await expect(console.page.get_by_text(finished)).to_be_visible(timeout=4 * ANSWER_MS)
    assert await faces(service) == {"obama": 10, "biden": 9, "astronaut": 10}
    await expect(console.page.locator("progress")).to_have_js_property("value", 30)
    async with console.page.expect_download() as downloading:
        await console.button("Save the report").click()
    path = await (await downloading.value).path()
    with path.open(encoding="utf-8-sig", newline="") as file:
        report = {row["file"]: row for row in csv.DictReader(file)}
    assert len(report) == 30
    assert report["people/biden/0.jpg"]["outcome"] == "face_not_found"
    assert report["people/obama/3.jpg"]["name"] == "obama"
    assert int(report["people/obama/3.jpg"]["face_ids"]) > 0


async def test_a_service_that_is_busy_for_a_while(console: Console, service: Client, folder: Path) -> None:
    """Each photo is tried again until it is done."""
    busy = 3

    async def refuse(route: Any) -> None:
        nonlocal busy
        busy -= 1
        if busy >= 0:
            await route.fulfill(
                status=503, headers={"Retry-After": "1"}, json={"code": "overloaded", "detail": "Wait."}
            )
        else:
            await route.continue_()

    await console.page.route("**/v1/faces?*", refuse)
    await console.show("import")
    await console.page.get_by_label("The name is").select_option("file")
    await console.page.get_by_label("Folder").set_input_files(folder)
    await console.button("Import").click()
    await expect(console.page.get_by_text("29 registered, 1 refused.")).to_be_visible(timeout=4 * ANSWER_MS)
    assert (await faces(service)).total() == 29


async def test_cells_of_the_report_are_no_formulas(console: Console, tmp_path: Path, pictures: Path) -> None:
    """A file may be called what it likes."""
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / '=HYPERLINK("a")-1.jpg').write_bytes((pictures / "cat.jpg").read_bytes())
    await console.show("import")
    await console.page.get_by_label("The name is").select_option("file")
    await console.page.get_by_label("Folder").set_input_files(tmp_path / "album")
    await console.button("Import").click()
    await expect(console.page.get_by_text("Finished.")).to_be_visible(timeout=ANSWER_MS)
    async with console.page.expect_download() as downloading:
        await console.button("Save the report").click()
    text = (await (await downloading.value).path()).read_text("utf-8-sig")
    assert '"\'=HYPERLINK(""a"")"' in text
