"""People are listed, shown, renamed and deleted through /v1."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from service.values import MAX_REMARK
from tests.http.rest_api.conftest import Caller

pytestmark = pytest.mark.asyncio(loop_scope="module")


def path_of(remark: str) -> str:
    return f"/v1/people/{quote(remark, safe='')}"


async def register(caller: Caller, photo: bytes, *remarks: str) -> list[int]:
    """The numbers of the faces."""
    return [(await caller.register(photo, f"remark={quote(each, safe='')}"))[0]["face_id"] for each in remarks]


async def names(caller: Caller, query: str = "") -> list[str]:
    return [each["remark"] for each in (await caller.ask("GET", f"/v1/people{query}", 200))["people"]]


async def test_all_faces_of_a_remark_are_one_person(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Who has how many, and the number of one of them."""
    [zoe] = await register(caller, portraits["biden"], "Zoë")
    anns = [(await register(caller, portraits[name], "Ann"))[0] for name in ("obama", "obama2")]
    page = await caller.ask("GET", "/v1/people", 200)
    assert [(each["remark"], each["faces"]) for each in page["people"]] == [("Ann", 2), ("Zoë", 1)]
    assert set(page["people"][0]) == {"remark", "faces", "face_id"}
    assert page["people"][0]["face_id"] in anns
    assert (page["gallery"], page["next_cursor"]) == ("default", None)
    assert await caller.ask("GET", path_of("Zoë"), 200) == {
        "remark": "Zoë",
        "faces": 1,
        "face_id": zoe,
        "gallery": "default",
    }


async def test_pages_of_people(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Cut anywhere; a cursor holds also where its person is gone."""
    remarks = [f"person {number}" for number in range(5)]
    await register(caller, portraits["obama"], *reversed(remarks))
    whole = await names(caller)
    assert sorted(whole) == remarks
    for limit in (1, 2, 4):
        seen, cursor = [], ""
        while True:
            page = await caller.ask("GET", f"/v1/people?limit={limit}{cursor}", 200)
            seen += [each["remark"] for each in page["people"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == whole
    page = await caller.ask("GET", "/v1/people?limit=2", 200)
    await caller.ask("DELETE", path_of(whole[1]), 200)
    assert await names(caller, f"?cursor={page['next_cursor']}") == whole[2:]


async def test_a_part_of_the_remark_finds_people(caller: Caller, portraits: dict[str, bytes]) -> None:
    """In small letters or capitals; nobody is found by what nobody has."""
    await register(caller, portraits["obama"], "Barack Obama", "Joe", "obamacare")
    assert set(await names(caller, "?part=OBAMA")) == {"Barack Obama", "obamacare"}
    assert await names(caller, "?part=xyz") == []
    for query in ("part=", f"part={'x' * 1025}", "limit=0", "limit=1001", "cursor=1", "cursor=-1-1", "name=x"):
        await caller.fails(400, "invalid_request", "GET", f"/v1/people?{query}")


@pytest.mark.parametrize(
    "remark",
    [
        *(
            "a/b",
            "/",
            "%",
            "%2F",
            "%25",
            "a%2Fb",
            "张三",
            "..",
            ".",
            " ",
            "  a ",
            "a b",
            "a+b",
            "?",
            "#x",
            "{remark}",
            "}",
        ),
        *(
            "a\nb",
            "\x00",
            "\x7f",
            "👩‍🚀",
            "é",
            "e\u0301",
            ";a=b",
            "\\",
            '"',
            "unknown",
            "x" * MAX_REMARK,
            "张" * MAX_REMARK,
        ),
    ],
    ids=lambda remark: repr(remark)[:12],
)
async def test_a_person_of_any_remark(caller: Caller, portraits: dict[str, bytes], remark: str) -> None:
    """Can be shown, renamed and deleted, with all of it percent-encoded in the path."""
    [face_id] = await register(caller, portraits["obama"], remark)
    path = "".join(f"%{byte:02X}" for byte in remark.encode())
    shown = await caller.ask("GET", f"/v1/people/{path}", 200)
    assert shown == {"remark": remark, "faces": 1, "face_id": face_id, "gallery": "default"}
    renamed = await caller.ask("PATCH", f"/v1/people/{path}", 200, json={"remark": "other"})
    assert renamed == {**shown, "remark": "other"}
    await caller.fails(404, "unknown_person", "GET", f"/v1/people/{path}")
    assert await caller.ask("PATCH", path_of("other"), 200, json={"remark": remark}) == shown
    assert await caller.ask("DELETE", f"/v1/people/{path}", 200) == {"removed": 1}
    assert await names(caller) == []


async def test_what_is_no_remark_is_refused(caller: Caller) -> None:
    """In a path: what isn't UTF-8, and what is too long."""
    for path in ("%FF", "a%C3", "%ED%A0%80", "x" * (MAX_REMARK + 1)):
        for method in ("GET", "DELETE"):
            await caller.fails(400, "invalid_request", method, f"/v1/people/{path}")
    await caller.fails(404, "unknown_person", "DELETE", "/v1/people/nobody")


async def test_a_renamed_person(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Is one with another only where that is asked for; the faces say the new remark everywhere."""
    [zoe, ann] = await register(caller, portraits["obama"], "Zoë", "Ann")
    await caller.fails(409, "remark_in_use", "PATCH", path_of("Zoë"), json={"remark": "Ann"})
    assert (await caller.ask("PATCH", path_of("Zoë"), 200, json={"remark": "Zoë"}))["faces"] == 1
    merged = await caller.ask("PATCH", path_of("Zoë"), 200, json={"remark": "Ann", "merge": True})
    assert (merged["remark"], merged["faces"]) == ("Ann", 2)
    assert (await caller.ask("GET", f"/v1/faces/{zoe}", 200))["remark"] == "Ann"
    [face] = (await caller.about(portraits["obama2"], "/v1/identify?group=face&limit=1"))["faces"]
    assert face["matches"][0]["remark"] == "Ann"
    assert {each["face_id"] for each in (await caller.ask("GET", "/v1/faces?remark=Ann", 200))["faces"]} == {zoe, ann}
    await caller.fails(404, "unknown_person", "PATCH", path_of("Zoë"), json={"remark": "x"})
    options = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(404, "unknown_person", "POST", f"/v1/verify?remark={quote('Zoë')}", **options)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"null", b"{", b"\xff", b"{}", b'{"remark": ""}', b'{"remark": null}', b'{"remark": 1}'),
        *(b'{"remark": "\\ud800"}', b'{"remark": "x", "merge": "yes"}', b'{"remark": "x", "merge": 1}'),
        *(b'{"remark": "x", "name": "y"}', b'{"remark": "%s"}' % (b"x" * 1025), b'{"remark": "%s"}' % (b"x" * 300_000)),
    ],
    ids=lambda body: repr(body)[:24],
)
async def test_what_is_no_renaming_is_refused(caller: Caller, body: bytes) -> None:
    """And so is a body that isn't JSON."""
    headers = {"Content-Type": "application/json"}
    await caller.fails(400, "invalid_request", "PATCH", path_of("Zoë"), data=body, headers=headers)
    await caller.fails(415, "unsupported_body", "PATCH", path_of("Zoë"), data=b"{}", headers={"Content-Type": "text/x"})


async def test_all_at_once(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Renamings, removals and registrations of a few people at the same moment: each is done or says why not."""
    await register(caller, portraits["obama"], "a", "b", "c")

    async def ask(method: str, path: str, **options: Any) -> int:
        async with caller.http.request(method, path, **options) as response:
            return response.status

    photo = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    statuses = await asyncio.gather(
        *(ask("PATCH", path_of(one), json={"remark": other}) for one in "abc" for other in "abcd"),
        *(ask("DELETE", path_of(each)) for each in "abc"),
        *(ask("POST", f"/v1/faces?remark={each}", **photo) for each in "abcd"),
        *(ask("GET", "/v1/people?limit=1") for _ in range(4)),
    )
    assert set(statuses) <= {200, 201, 404, 409}
    listed = (await caller.ask("GET", "/v1/people", 200))["people"]
    assert sum(each["faces"] for each in listed) == (await caller.ask("GET", "/v1/stats", 200))["faces"]
