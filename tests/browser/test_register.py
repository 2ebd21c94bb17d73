"""The console registers people, says why a photo is refused, and shows what anybody wrote as nothing but text."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.browser.conftest import ANSWER_MS, Console
from tests.support.device import Client

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("empty")]

HOSTILE = (
    "<img src=x onerror=\"document.title='broken'\">",
    "<script>document.title='broken'</script>",
    "javascript:document.title='broken'//\"'><svg onload=document.title='broken'>",
    "a/b?c#d%2F&amp;\u202e名",
    "..",
)


async def remarks(service: Client) -> list[str]:
    async with service.get("/v1/faces") as response:
        return [face["remark"] for face in (await response.json())["faces"]]


async def test_several_photos_of_one_person_each_with_its_outcome(
    console: Console, service: Client, pictures: Path
) -> None:
    await console.register("Barack", pictures / "obama.jpg", pictures / "cat.jpg", pictures / "obama2.jpg")
    await expect(console.page.locator(".outcome.good")).to_have_count(2)
    await expect(console.page.locator(".outcome.bad")).to_have_text(
        "cat.jpgNot registered. There is no face in this photo."
    )
    assert await remarks(service) == ["Barack", "Barack"]


async def test_a_photo_of_the_camera(console: Console, service: Client) -> None:
    await console.show("register")
    await console.page.get_by_label("Name", exact=True).fill("Barack")
    await console.button("Use the camera").click()
    await expect(console.page.locator("video")).to_be_visible()
    await expect(console.page.locator("video")).to_have_js_property("readyState", 4, timeout=ANSWER_MS)
    await console.button("Take a photo").click()
    await console.button("Register 1 photo").click()
    await expect(console.page.locator(".outcome.good")).to_have_count(1, timeout=ANSWER_MS)
    assert await remarks(service) == ["Barack"]


async def test_somebody_who_is_here_already_under_another_name(
    console: Console, service: Client, pictures: Path
) -> None:
    """The page says as whom, and gives the face that name if it is the same person."""
    await console.register("Barack", pictures / "obama.jpg")
    await console.register("Barry", pictures / "obama2.jpg")
    await expect(console.page.locator(".outcome.doubtful")).to_contain_text("Seems to be here already")
    await console.button("Same person: name it Barack").click()
    await expect(console.page.locator(".outcome.doubtful")).to_have_count(0)
    assert await remarks(service) == ["Barack", "Barack"]


async def test_a_name_is_needed(console: Console, service: Client, pictures: Path) -> None:
    await console.show("register")
    await console.choose(pictures / "obama.jpg")
    await console.page.get_by_label("Name", exact=True).fill("   ")
    await console.button("Register 1 photo").click()
    await expect(console.button("Register 1 photo")).to_be_enabled()
    assert await remarks(service) == []


@pytest.mark.parametrize("remark", HOSTILE)
async def test_what_anybody_wrote_is_text(console: Console, service: Client, pictures: Path, remark: str) -> None:
    """In a remark and in metadata, in every view that shows them; and the person can be renamed."""
    photo = (pictures / "obama.jpg").read_bytes()
    query = {"remark": remark, "metadata": '{"<img src=x onerror=alert(1)>": "<script>alert(1)</script>"}'}
    async with service.post("/v1/faces", params=query, data=photo, headers={"Content-Type": "image/jpeg"}) as response:
        assert response.status == 201, await response.text()
    await console.show("recognise")
    await console.choose(pictures / "obama2.jpg")
    await expect(console.page.locator(".card.known .name")).to_have_text(remark, timeout=ANSWER_MS)
    await console.show("people")
    await expect(console.page.locator(".person .name")).to_have_text(remark)
    await console.page.locator(".person").click()
    await expect(console.page.locator("h1")).to_have_text(remark)
    await console.page.get_by_text("Metadata").click()
    await expect(console.page.locator("pre")).to_contain_text("<script>alert(1)</script>")
    assert quote(remark, safe="!~*'()") in console.page.url
    await console.button("Rename").click()
    await console.page.get_by_label("New name").fill("Barack")
    await console.page.locator("dialog button[type=submit]").click()
    await expect(console.page.locator("h1")).to_have_text("Barack")
    assert await remarks(service) == ["Barack"]
    assert await console.page.locator("main img:not(.picture), main script, main svg").count() == 0
    assert "broken" not in await console.page.title()
