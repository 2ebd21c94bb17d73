"""The console shows who is registered and mends mistakes: names, two names for one person, photos, people."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.browser.conftest import Console
from tests.support.device import Client

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("empty")]


async def register(service: Client, photo: Path, *remarks: str) -> None:
    """Without the page."""
    headers, content = {"Content-Type": "image/jpeg"}, await asyncio.to_thread(photo.read_bytes)
    for remark in remarks:
        sent = service.post("/v1/faces", params={"remark": remark}, data=content, headers=headers)
        async with sent as response:
            assert response.status == 201, await response.text()


async def faces(service: Client) -> Counter[str]:
    """How many photos there are of whom."""
    async with service.get("/v1/faces?limit=1000") as response:
        return Counter(face["remark"] for face in (await response.json())["faces"])


async def confirm(console: Console, naming: str) -> None:
    """Say yes to the question, which must name what it is about."""
    await expect(console.page.get_by_role("dialog")).to_contain_text(naming)
    await console.page.locator("dialog button[type=submit]").click()


async def gone_by_now(console: Console) -> None:
    """Wait until the time to undo is over."""
    await expect(console.page.locator(".toast")).to_have_count(0, timeout=10_000)


async def test_a_person_has_a_picture_and_a_count(console: Console, service: Client, pictures: Path) -> None:
    await register(service, pictures / "obama.jpg", "Barack")
    await register(service, pictures / "obama2.jpg", "Barack")
    await console.show("people")
    await expect(console.page.locator(".person")).to_contain_text("2 photos")
    await expect(console.page.locator(".person img")).to_have_js_property("naturalHeight", 240)
    await expect(console.page.get_by_text("2 photos in this gallery")).to_be_visible()


async def test_renaming(console: Console, service: Client, pictures: Path) -> None:
    await register(service, pictures / "obama.jpg", "Barak")
    await console.show("people/Barak")
    await console.button("Rename").click()
    await console.page.get_by_label("New name").fill("巴拉克")
    await confirm(console, "Rename Barak")
    await expect(console.page.locator("h1")).to_have_text("巴拉克")
    await expect(console.page.locator(".photo")).to_have_count(1)
    assert await faces(service) == {"巴拉克": 1}


async def test_two_names_become_one_person_only_after_a_question(
    console: Console, service: Client, pictures: Path
) -> None:
    await register(service, pictures / "obama.jpg", "Barack")
    await register(service, pictures / "obama2.jpg", "Barry")
    await console.show("people/Barry")
    await console.button("Rename").click()
    await console.page.get_by_label("New name").fill("Barack")
    await confirm(console, "Rename Barry")
    await expect(console.page.get_by_text("There is somebody of this name already")).to_be_visible()
    assert await faces(service) == {"Barack": 1, "Barry": 1}
    await confirm(console, "All photos of Barry would be photos of Barack.")
    await expect(console.page.locator("h1")).to_have_text("Barack")
    await expect(console.page.locator(".photo")).to_have_count(2)
    assert await faces(service) == {"Barack": 2}


async def test_deleting_a_person_can_be_undone(console: Console, service: Client, pictures: Path) -> None:
    await register(service, pictures / "obama.jpg", "Barack")
    await register(service, pictures / "biden.jpg", "Joe")
    await console.show("people/Barack")
    await console.button("Delete the person").click()
    await confirm(console, "Delete Barack?")
    await expect(console.page.locator(".person .name")).to_have_text(["Joe"])
    await console.button("Undo").click()
    await expect(console.page.locator("h1")).to_have_text("Barack")
    await expect(console.page.locator(".photo")).to_have_count(1)
    assert await faces(service) == {"Barack": 1, "Joe": 1}


async def test_a_person_is_deleted_when_nobody_undoes_it(console: Console, service: Client, pictures: Path) -> None:
    """And only then."""
    await register(service, pictures / "obama.jpg", "Barack", "Barry")
    await console.show("people/Barack")
    await console.button("Delete the person").click()
    await confirm(console, "All photos of Barack are deleted")
    await expect(console.page.locator(".person .name")).to_have_text(["Barry"])
    assert await faces(service) == {"Barack": 1, "Barry": 1}
    await gone_by_now(console)
    assert await faces(service) == {"Barry": 1}


async def test_deleting_one_photo(console: Console, service: Client, pictures: Path) -> None:
    await register(service, pictures / "obama.jpg", "Barack")
    await register(service, pictures / "obama2.jpg", "Barack")
    await console.show("people/Barack")
    await console.button("Delete the photo of", exact=False).first.click()
    await confirm(console, "Delete a photo of Barack?")
    await expect(console.page.locator(".photo:visible")).to_have_count(1)
    await console.button("Undo").click()
    await expect(console.page.locator(".photo:visible")).to_have_count(2)
    await console.button("Delete the photo of", exact=False).first.click()
    await confirm(console, "Delete a photo of Barack?")
    await gone_by_now(console)
    assert await faces(service) == {"Barack": 1}


async def test_who_closes_the_page_has_deleted(console: Console, service: Client, pictures: Path) -> None:
    """What waits to be undone is carried out at once."""
    await register(service, pictures / "obama.jpg", "Barack")
    await console.show("people/Barack")
    await console.button("Delete the person").click()
    await confirm(console, "Delete Barack?")
    await console.page.goto("about:blank")
    for _ in range(50):
        if not await faces(service):
            break
        await console.page.wait_for_timeout(100)
    assert not await faces(service)


async def test_a_question_that_is_not_answered_changes_nothing(
    console: Console, service: Client, pictures: Path
) -> None:
    await register(service, pictures / "obama.jpg", "Barack")
    await console.show("people/Barack")
    for opens in ("Rename", "Delete the person"):
        await console.button(opens).click()
        await console.page.keyboard.press("Escape")
        await expect(console.page.get_by_role("dialog")).to_have_count(0)
    assert await faces(service) == {"Barack": 1}


async def test_a_photo_gets_an_end(console: Console, service: Client, pictures: Path) -> None:
    """And loses it again."""
    await register(service, pictures / "obama.jpg", "Barack")
    await console.show("people/Barack")
    for until, shown in (("2199-12-31T23:59", re.compile("Forgotten 31 Dec 2199, 23:59")), ("", re.compile("^$"))):
        await console.button("Expiry of the photo", exact=False).click()
        await console.page.get_by_label("Forget at").fill(until)
        await confirm(console, "When is this photo of Barack forgotten?")
        await expect(console.page.locator(".photo > .hint").nth(1)).to_have_text(shown)


async def test_searching_and_paging(console: Console, service: Client, pictures: Path) -> None:
    """A page has 48 people; the next ones are read when they are asked for."""
    names = [f"Guest {number}" for number in range(50)]
    await register(service, pictures / "obama.jpg", *names)
    await console.show("people")
    await expect(console.page.locator(".person")).to_have_count(48)
    first = await console.page.locator(".person .name").all_inner_texts()
    await console.button("Next page").click()
    await expect(console.page.locator(".person")).to_have_count(2)
    second = await console.page.locator(".person .name").all_inner_texts()
    assert sorted(first + second) == sorted(names)
    await expect(console.button("Next page")).to_be_disabled()
    await console.button("Previous page").click()
    await expect(console.page.locator(".person .name")).to_have_text(first)
    await console.page.get_by_label("Search by name").fill("guest 4")
    await expect(console.page.locator(".person")).to_have_count(11)
    await console.page.get_by_label("Search by name").fill("nobody")
    await expect(console.page.get_by_text("Nobody has such a name.")).to_be_visible()
