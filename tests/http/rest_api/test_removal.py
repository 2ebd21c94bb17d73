"""All faces of a gallery, or those of a device, are deleted through /v1."""

from __future__ import annotations

import pytest

from service.http.keys import CURRENT
from service.timings import Timings
from tests.http.rest_api.conftest import Caller
from tests.support.device import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def faces(caller: Caller, query: str = "") -> list[str]:
    return [each["remark"] for each in (await caller.ask("GET", f"/v1/faces{query}", 200))["faces"]]


async def test_those_of_a_device(service: Client, caller: Caller, portraits: dict[str, bytes]) -> None:
    """And of no other one, in that gallery alone; once more there is nothing left to delete."""
    await caller.ask("PUT", "/v1/galleries/staff", 201)
    for name in ("default", "staff"):
        gallery = await service.app[CURRENT].opened.galleries.of(name)
        for device in ("door-7", "door-70", None):
            await gallery.enroll(portraits["obama"], f"by {device}", Timings(), device_id=device)
    assert await caller.ask("DELETE", "/v1/faces?device=door-7", 200) == {"gallery": "default", "removed": 1}
    assert await caller.ask("DELETE", "/v1/faces?device=door-7", 200) == {"gallery": "default", "removed": 0}
    assert await faces(caller) == ["by door-70", "by None"]
    assert len(await faces(caller, "?gallery=staff")) == 3


async def test_all(caller: Caller, portraits: dict[str, bytes]) -> None:
    """The gallery stays, and so do others."""
    await caller.ask("PUT", "/v1/galleries/staff", 201)
    await caller.register(portraits["obama"], "remark=Ann")
    await caller.register(portraits["obama"], "gallery=staff&remark=Ann")
    assert (await caller.ask("DELETE", "/v1/faces?gallery=staff&confirm=staff", 200))["removed"] == 1
    assert (await faces(caller), await faces(caller, "?gallery=staff")) == (["Ann"], [])
    assert (await caller.ask("DELETE", "/v1/faces?confirm=default", 200))["removed"] == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?gallery=default",
        "?device=door-7&confirm=default",
        "?confirm=staff",
        "?gallery=staff&confirm=default",
        "?confirm=",
        "?confirm=yes",
        "?device=",
        "?device=a%20b",
        f"?device={'a' * 65}",
        "?device=%ff",
        "?device=a&device=b",
        "?remark=Ann",
    ],
)
async def test_a_slip_deletes_nothing(caller: Caller, portraits: dict[str, bytes], query: str) -> None:
    """What doesn't say which faces, or says it in a way that can't be used."""
    await caller.ask("PUT", "/v1/galleries/staff", 201)
    await caller.register(portraits["obama"], "remark=Ann")
    await caller.fails(400, "invalid_request", "DELETE", f"/v1/faces{query}")
    assert await faces(caller) == ["Ann"]


async def test_there_must_be_such_a_gallery(caller: Caller) -> None:
    await caller.fails(404, "unknown_gallery", "DELETE", "/v1/faces?gallery=nobodys&confirm=nobodys")
