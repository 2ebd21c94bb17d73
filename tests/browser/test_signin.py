"""Where the service asks who is there, the console asks for a key, and keeps it in the tab only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.settings import Settings
from tests.browser.conftest import Console
from tests.conftest import MODELS
from tests.support.keys import CONSOLE, LOST, READER, VISITORS, keys_file

expect = pytest.importorskip("playwright.async_api").expect
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("keys")
    return Settings(data=folder / "data", model_dir=MODELS, model="casia-webface", keys=keys_file(folder / "keys.toml"))


async def sign_in(console: Console, key: str) -> None:
    await console.show("people")
    await console.page.get_by_label("Key", exact=True).fill(key)
    await console.button("Sign in").click()


async def test_nothing_is_shown_without_a_key(console: Console) -> None:
    await console.show("people")
    await expect(console.page.locator("h1")).to_have_text("Sign in")
    await expect(console.page.locator("nav")).to_have_count(0)


@pytest.mark.parametrize("key", ["guess", LOST, "fsk_" + "é" * 43, "钥匙", "a b"])
async def test_a_key_that_is_not_good(console: Console, key: str) -> None:
    """One that nobody has, one that is disabled, and what can't be a key."""
    await sign_in(console, key)
    await expect(console.page.get_by_role("alert")).to_have_text("This key isn't known here, or it is disabled.")


async def test_signing_in_and_out(console: Console, pictures: Path) -> None:
    """Pictures are fetched with the key too; after a reload it is still there, after signing out it is not."""
    await sign_in(console, f" {CONSOLE}\n")
    await expect(console.page.locator("h1")).to_have_text("People")
    await console.register("Barack", pictures / "obama.jpg")
    await console.show("people")
    await expect(console.page.locator(".person img")).to_have_js_property("naturalHeight", 240)
    await console.page.reload()
    await expect(console.page.locator(".person")).to_have_count(1)
    await console.button("Sign out").click()
    await expect(console.page.locator("h1")).to_have_text("Sign in")
    await console.page.reload()
    await expect(console.page.locator("h1")).to_have_text("Sign in")


async def test_the_key_is_nowhere_but_in_this_tab(console: Console) -> None:
    """Not in what outlives it, not in an address, and not in another tab."""
    asked = []
    console.page.on("request", lambda request: asked.append(request.url))
    await sign_in(console, CONSOLE)
    await expect(console.page.locator("h1")).to_have_text("People")
    await console.page.get_by_label("Language").select_option("en")
    kept = await console.page.evaluate("JSON.stringify([{...localStorage}, document.cookie, {...sessionStorage}])")
    local, cookie, session = json.loads(kept)
    assert local == {"language": "en"}
    assert cookie == ""
    assert session == {"operator-key": CONSOLE}
    assert asked
    assert not [url for url in asked if CONSOLE in url]
    other = Console(await console.page.context.new_page(), console.url)
    await other.show("people")
    await expect(other.page.locator("h1")).to_have_text("Sign in")


async def test_a_key_that_may_only_look(console: Console, pictures: Path) -> None:
    """The page says so in a sentence where it may not."""
    await sign_in(console, READER)
    await expect(console.page.locator("h1")).to_have_text("People")
    await console.register("Joe", pictures / "biden.jpg")
    await expect(console.page.locator(".outcome.bad")).to_contain_text("Your key doesn't allow this.")


async def test_a_key_that_is_taken_away_meanwhile(console: Console) -> None:
    await sign_in(console, CONSOLE)
    await expect(
        console.page.get_by_text("Nobody is registered yet.").or_(console.page.locator(".person"))
    ).to_be_visible()
    await console.page.wait_for_load_state("networkidle")
    await console.page.route(
        "**/v1/**", lambda route: route.fulfill(status=401, json={"code": "unknown_key", "detail": "Gone."})
    )
    await console.page.get_by_role("link", name="Status").click()
    await expect(console.page.locator("h1")).to_have_text("Sign in")
    await expect(console.page.get_by_role("alert")).to_have_text("Your key isn't accepted any more. Sign in again.")


async def test_a_key_for_another_gallery_only(console: Console) -> None:
    """It may sign in; what it may not do is said."""
    await sign_in(console, VISITORS)
    await expect(console.page.locator("h1")).to_have_text("People")
    await expect(console.page.get_by_role("alert")).to_have_text("Your key doesn't allow this.")
