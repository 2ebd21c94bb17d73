"""Faces are registered, listed, shown and deleted through /v1."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image, ImageFilter

from tests.http.rest_api.conftest import Caller
from tests.support.device import jpeg, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_registration_tells_all_about_the_face(caller: Caller, portraits: dict[str, bytes]) -> None:
    """In exactly the shape that the document promises, and the face is there afterwards."""
    [face] = await caller.register(portraits["obama"], "remark=Barack%20O.")
    assert set(face) == {
        *("face_id", "remark", "gallery", "box", "landmarks", "detection_score", "quality", "duplicate_of"),
        *("registered_at", "metadata", "expires_at", "new"),
    }
    assert (face["metadata"], face["expires_at"]) == (None, None)
    assert (face["remark"], face["gallery"], face["duplicate_of"]) == ("Barack O.", "default", None)
    assert face["quality"]["problem"] is None
    shown = await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200)
    assert shown == {name: face[name] for name in shown}
    assert "picture" not in shown


async def test_the_same_photo_and_remark_are_one_face(caller: Caller, portraits: dict[str, bytes]) -> None:
    """The second time it says that it is not new."""
    [first], [second] = [await caller.register(portraits["obama"], "remark=x") for _ in range(2)]
    assert (first["new"], second["new"]) == (True, False)
    assert first | {"new": False} == second
    assert (await caller.ask("GET", "/v1/stats", 200))["faces"] == 1


async def test_a_face_of_another_remark_is_told(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Who registers somebody under a second name learns of the first one."""
    [known] = await caller.register(portraits["obama"], "remark=first")
    [again] = await caller.register(portraits["obama"], "remark=second")
    assert (again["duplicate_of"]["remark"], again["duplicate_of"]["face_id"]) == ("first", known["face_id"])
    [other] = await caller.register(portraits["biden"], "remark=third")
    assert other["duplicate_of"] is None


async def test_which_faces_are_registered_is_the_callers_choice(caller: Caller, two: bytes) -> None:
    """One, the only one, or all that are good enough."""
    assert len(await caller.register(two, "remark=a&faces=all")) == 2
    assert len(await caller.register(two, "remark=b&faces=largest")) == 1
    options = {"data": two, "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(422, "multiple_faces", "POST", "/v1/faces?remark=c&faces=single", **options)
    await caller.fails(400, "invalid_request", "POST", "/v1/faces?remark=c&faces=both", **options)


async def test_the_quality_that_is_wanted_is_the_callers_choice(caller: Caller, portraits: dict[str, bytes]) -> None:
    """A blurred photo is refused with its reason, and taken where that is asked for."""
    with Image.open(io.BytesIO(portraits["obama"])) as photo:
        blurred = jpeg(photo.filter(ImageFilter.GaussianBlur(5)), quality=95)
    options = {"data": blurred, "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(422, "face_blurred", "POST", "/v1/faces?remark=a&quality=standard", **options)
    await caller.fails(422, "face_blurred", "POST", "/v1/verify?face_id=1", **options)
    [face] = await caller.register(blurred, "remark=a&quality=off")
    [seen] = (await caller.about(blurred, "/v1/identify"))["faces"]
    assert seen["quality"] == {**face["quality"], "problem": "face_blurred"}
    assert (seen["matched"], seen["matches"]) == (False, [])


async def test_pages_are_the_list_cut_in_pieces(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Whatever the limit; the last page says that it is the last."""
    registered = [
        (await caller.register(portraits[name], f"remark={remark}"))[0]["face_id"]
        for name, remark in (("obama", "a"), ("biden", "b"), ("obama2", "a"), ("astronaut", "c"), ("obama3", "a"))
    ]
    for limit in (1, 2, 5, 100):
        seen, cursor = [], ""
        while True:
            page = await caller.ask("GET", f"/v1/faces?limit={limit}{cursor}", 200)
            assert 1 <= len(page["faces"]) <= limit
            seen += [face["face_id"] for face in page["faces"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == registered
    page = await caller.ask("GET", "/v1/faces?limit=2&remark=a", 200)
    assert [face["face_id"] for face in page["faces"]] == [registered[0], registered[2]]
    rest = await caller.ask("GET", f"/v1/faces?remark=a&cursor={page['next_cursor']}", 200)
    assert ([face["face_id"] for face in rest["faces"]], rest["next_cursor"]) == ([registered[4]], None)


async def test_pictures_come_only_where_they_are_asked_for(caller: Caller, portraits: dict[str, bytes]) -> None:
    [face] = await caller.register(portraits["obama"], "remark=a")
    [without] = (await caller.ask("GET", "/v1/faces", 200))["faces"]
    [with_picture] = (await caller.ask("GET", "/v1/faces?include=picture", 200))["faces"]
    assert with_picture == {**without, "picture": with_picture["picture"]}
    picture(with_picture["picture"])
    one = await caller.ask("GET", f"/v1/faces/{face['face_id']}?include=picture", 200)
    assert one == with_picture
    for path in ("/v1/faces", f"/v1/faces/{face['face_id']}"):  # this service makes no addresses
        told = await caller.ask("GET", f"{path}?include=photo", 200)
        assert told.get("faces", [told]) == [{**without, "photo": None}]


async def test_a_picture_is_sent_once(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Who has it is told so, by its ETag."""
    [face] = await caller.register(portraits["obama"], "remark=a")
    path = f"/v1/faces/{face['face_id']}/picture"
    async with caller.http.get(path) as response:
        assert response.headers["Content-Type"] == "image/jpeg"
        body, tag = await response.read(), response.headers["ETag"]
    picture(base64.b64encode(body).decode())
    for wanted, status in ((tag, 304), (f'"other", W/{tag}', 304), ("*", 304), ('"other"', 200)):
        async with caller.http.get(path, headers={"If-None-Match": wanted}) as response:
            assert (response.status, response.headers["ETag"]) == (status, tag)
            assert await response.read() == (b"" if status == 304 else body)


async def test_a_deleted_face_is_gone(caller: Caller, portraits: dict[str, bytes]) -> None:
    """And a number that nobody has, or nobody can have, says so."""
    [face] = await caller.register(portraits["obama"], "remark=a")
    path = f"/v1/faces/{face['face_id']}"
    assert await caller.ask("DELETE", path, 204) == b""
    for method, each in (("GET", path), ("DELETE", path), ("GET", f"{path}/picture")):
        await caller.fails(404, "unknown_face", method, each)
    for face_id in ("0", "x", "-1", str(2**53), "1" * 5000, "%C2%B2"):
        await caller.fails(400, "invalid_request", "GET", f"/v1/faces/{face_id}")


async def test_remarks_are_kept_to_the_letter(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Of any Unicode, up to their greatest length; what isn't UTF-8 is refused."""
    [face] = await caller.register(portraits["obama"], "remark=%E5%BC%A0%00%F0%9F%91%A9")
    assert face["remark"] == "张\x00👩"
    options = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    for query in ("remark=%FF", "remark=", "", f"remark={'x' * 1025}", "remark=a&remark=b", "remark=a&unknown=1"):
        await caller.fails(400, "invalid_request", "POST", f"/v1/faces?{query}", **options)
