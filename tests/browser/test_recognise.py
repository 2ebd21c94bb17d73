"""The console recognises: every face of a photo has its box and its people, and so has the camera's picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import ANSWER_MS, Console

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("empty")]


async def test_each_face_of_a_group_is_boxed_and_named_or_said_to_be_unknown(console: Console, pictures: Path) -> None:
    await console.register("Barack", pictures / "obama.jpg")
    await console.show("recognise")
    await console.choose(pictures / "group.jpg")
    await expect(console.page.locator(".card")).to_have_count(3, timeout=ANSWER_MS)
    await expect(console.page.locator(".box")).to_have_count(3)
    await expect(console.page.locator(".card.known h2")).to_have_text(["1 Barack"])
    assert await console.page.locator(".card.unknown h2 .name").all_inner_texts() == ["Unknown", "Unknown"]
    await expect(console.page.locator(".summary")).to_have_text("3 faces. 1 is known.")


async def test_boxes_lie_where_the_faces_are(console: Console, pictures: Path) -> None:
    """One in each third of the picture, and within it."""
    await console.show("recognise")
    await console.choose(pictures / "group.jpg")
    await expect(console.page.locator(".box")).to_have_count(3, timeout=ANSWER_MS)
    picture = await console.page.locator(".stage canvas").bounding_box()
    assert picture is not None
    middles = []
    for box in await console.page.locator(".box").all():
        place = await box.bounding_box()
        assert place is not None
        assert picture["y"] < place["y"] < place["y"] + place["height"] < picture["y"] + picture["height"]
        middles.append((place["x"] + place["width"] / 2 - picture["x"]) / picture["width"])
    assert sorted(int(middle * 3) for middle in middles) == [0, 1, 2]


async def test_a_photo_without_a_face(console: Console, pictures: Path) -> None:
    await console.show("recognise")
    await console.choose(pictures / "cat.jpg")
    await expect(console.page.get_by_text("There is no face in this photo.")).to_be_visible(timeout=ANSWER_MS)
    await expect(console.page.locator(".box")).to_have_count(0)


async def test_what_is_no_photo_is_refused_with_a_sentence(console: Console, tmp_path: Path) -> None:
    """Also what only calls itself one."""
    (tmp_path / "no.jpg").write_text("<script>alert(1)</script>")
    (tmp_path / "no.html").write_text("<script>alert(1)</script>")
    await console.show("recognise")
    await console.choose(tmp_path / "no.jpg")
    await expect(console.page.get_by_role("alert")).to_contain_text("can't be read", timeout=ANSWER_MS)
    await console.choose(tmp_path / "no.html")
    await expect(console.page.get_by_text("That is not a photo.")).to_be_visible()


async def test_a_photo_is_pasted(console: Console, pictures: Path) -> None:
    await console.show("recognise")
    numbers = list((pictures / "biden.jpg").read_bytes())
    await console.page.evaluate(
        """(numbers) => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(numbers)], "pasted.jpg", { type: "image/jpeg" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
        }""",
        numbers,
    )
    await expect(console.page.locator(".box")).to_have_count(1, timeout=ANSWER_MS)


async def test_the_camera_is_recognised_live(console: Console, pictures: Path) -> None:
    """Second after second, until it is stopped; with it the camera stops."""
    await console.register("Barack", pictures / "obama2.jpg")
    await console.show("recognise")
    await console.button("Use the camera").click()
    await console.button("Live").click()
    await expect(console.page.locator(".card.known h2")).to_have_text(["1 Barack"], timeout=ANSWER_MS)
    await expect(console.page.locator(".stage .box.known")).to_have_count(1)
    async with console.page.expect_response("**/v1/identify*"):
        pass  # the next comes by itself
    await console.button("Stop live").click()
    await expect(console.page.locator(".box")).to_have_count(0)
    await console.button("Stop the camera").click()
    await expect(console.page.locator("video")).to_have_count(0)
