"""Galleries are made, listed, shown and deleted through /v1, and every operation can be told of which it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.http.rest_api.queries import GalleryQuery
from service.http.rest_api.table import OPERATIONS
from tests.http.rest_api.conftest import Caller
from tests.support.device import multipart

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_gallery_is_made_once(caller: Caller) -> None:
    """Then it is there already, as it was."""
    made = await caller.ask("PUT", "/v1/galleries/visitors", 201)
    assert (made["gallery"], made["faces"]) == ("visitors", 0)
    assert await caller.ask("PUT", "/v1/galleries/visitors", 200) == made
    assert await caller.ask("GET", "/v1/galleries/visitors", 200) == made
    default = {"gallery": "default", "created_at": None}
    listed = (await caller.ask("GET", "/v1/galleries", 200))["galleries"]
    assert listed == [default, {name: made[name] for name in ("gallery", "created_at")}]
    assert (await caller.ask("PUT", "/v1/galleries/default", 200))["created_at"] is None
    assert (await caller.ask("GET", "/v1/stats", 200))["galleries"] == 2


async def test_a_deleted_gallery_is_gone_with_its_faces(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Also for whoever makes one of its name again."""
    await caller.ask("PUT", "/v1/galleries/visitors", 201)
    [face] = await caller.register(portraits["obama"], "remark=a&gallery=visitors")
    assert (await caller.ask("GET", "/v1/galleries/visitors", 200))["faces"] == 1
    assert await caller.ask("DELETE", "/v1/galleries/visitors", 204) == b""
    for method in ("GET", "DELETE"):
        await caller.fails(404, "unknown_gallery", method, "/v1/galleries/visitors")
    await caller.ask("PUT", "/v1/galleries/visitors", 201)
    await caller.fails(404, "unknown_face", "GET", f"/v1/faces/{face['face_id']}?gallery=visitors")
    assert (await caller.ask("GET", "/v1/stats?gallery=visitors", 200))["faces"] == 0


async def test_the_default_one_cannot_be_deleted(caller: Caller, portraits: dict[str, bytes]) -> None:
    await caller.register(portraits["obama"], "remark=a")
    await caller.fails(400, "invalid_request", "DELETE", "/v1/galleries/default")
    assert (await caller.ask("GET", "/v1/galleries/default", 200))["faces"] == 1


async def test_names(caller: Caller) -> None:
    """Small letters, digits, - and _, up to 64 of them."""
    for name in ("a", "0", "a-b_c9", "x" * 64):
        await caller.ask("PUT", f"/v1/galleries/{name}", 201)
    for name in ("A", "-a", "_a", "a.b", "%20", "a%2Fb", "%C3%A9", "x" * 65, "a%0A", "%00", "..a", "%FF"):
        for method in ("PUT", "GET", "DELETE"):
            await caller.fails(400, "invalid_request", method, f"/v1/galleries/{name}")
        await caller.fails(400, "invalid_request", "GET", f"/v1/stats?gallery={name}")
    await caller.fails(400, "invalid_request", "GET", "/v1/stats?gallery=")


async def test_every_operation_knows_its_gallery(caller: Caller, portraits: dict[str, bytes]) -> None:
    """One that nobody made is told as such, whatever is asked of it."""
    photo: dict[str, Any] = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    bodies: dict[str, dict[str, Any]] = {
        "registerFaces": photo,
        "registerBatch": multipart(("remark", b"a"), ("image", portraits["obama"])),
        "identify": photo,
        "verify": photo,
        "identifyEmbedding": {"json": {"embedding": [1.0] * 512}},
        "changeFace": {"json": {}},
        "renamePerson": {"json": {"remark": "b"}},
    }
    required = {"registerFaces": "&remark=a", "verify": "&face_id=1"}
    asked = [each for each in OPERATIONS if issubclass(each.query, GalleryQuery)]
    assert {each.name for each in OPERATIONS} - {each.name for each in asked} == {
        *("detect", "embed", "showModel", "listDevices"),
        *("listGalleries", "showGallery", "createGallery", "deleteGallery"),
    }
    for each in asked:
        path = each.path.format(face_id=1, remark="a")
        await caller.fails(
            *(404, "unknown_gallery", each.method),
            f"{path}?gallery=nowhere{required.get(each.name, '')}",
            **bodies.get(each.name, {}),
        )


async def test_faces_of_one_gallery_are_not_in_another(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Neither found, shown, changed, deleted nor compared with; every answer says which gallery it is about."""
    await caller.ask("PUT", "/v1/galleries/staff", 201)
    [face] = await caller.register(portraits["obama2"], "remark=Obama&gallery=staff")
    assert face["gallery"] == "staff"
    for gallery, known in (("staff", True), ("default", False)):
        query = f"?gallery={gallery}"
        found = await caller.about(portraits["obama"], f"/v1/identify{query}")
        assert (found["gallery"], found["faces"][0]["matched"]) == (gallery, known)
        assert bool((await caller.ask("GET", f"/v1/faces{query}", 200))["faces"]) is known
        people = await caller.ask("GET", f"/v1/people{query}", 200)
        assert (people["gallery"], bool(people["people"])) == (gallery, known)
        stats = await caller.ask("GET", f"/v1/stats{query}", 200)
        assert (stats["gallery"], stats["faces"]) == (gallery, int(known))
        await caller.about(portraits["obama"], f"/v1/verify{query}&remark=Obama", 200 if known else 404)
        await caller.about(portraits["obama"], f"/v1/verify{query}&face_id={face['face_id']}", 200 if known else 404)
        await caller.ask("GET", f"/v1/faces/{face['face_id']}/picture{query}", 200 if known else 404)
        changed = caller.ask("PATCH", f"/v1/faces/{face['face_id']}{query}", 200 if known else 404, json={})
        assert (await changed).get("gallery", "default") == gallery
    await caller.fails(404, "unknown_face", "DELETE", f"/v1/faces/{face['face_id']}")
    await caller.fails(404, "unknown_person", "DELETE", "/v1/people/Obama")
    await caller.fails(404, "unknown_person", "PATCH", "/v1/people/Obama", json={"remark": "x"})
    [other] = await caller.register(portraits["obama2"], "remark=Obama")
    assert other["duplicate_of"] is None
    assert other["face_id"] != face["face_id"]
    both = multipart(("image", portraits["obama"]), ("other_image", portraits["obama2"]))
    await caller.ask("POST", "/v1/verify?gallery=staff", 200, **both)


async def test_a_removal_and_registrations_at_the_same_moment(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Leave no face behind, and each registration says whether there is still a gallery."""
    options: dict[str, Any] = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}

    async def register(number: int) -> int:
        async with caller.http.post(f"/v1/faces?gallery=visitors&remark={number}", **options) as response:
            return response.status

    for pause_s in (0.0, 0.03, 0.08, 0.15):
        await caller.ask("PUT", "/v1/galleries/visitors", 201)
        registering = [asyncio.create_task(register(number)) for number in range(6)]
        await asyncio.sleep(pause_s)
        await caller.ask("DELETE", "/v1/galleries/visitors", 204)
        assert set(await asyncio.gather(*registering)) <= {201, 404}
        await caller.ask("PUT", "/v1/galleries/visitors", 201)
        assert (await caller.ask("GET", "/v1/stats?gallery=visitors", 200))["faces"] == 0
        await caller.ask("DELETE", "/v1/galleries/visitors", 204)
