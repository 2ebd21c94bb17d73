"""What clients keep beside faces through /v1: metadata, and the end of a face's time."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from service.settings import Settings
from tests.conftest import running
from tests.http.rest_api.conftest import Caller
from tests.support.device import multipart

pytestmark = pytest.mark.asyncio(loop_scope="module")

METADATA = {
    "badge": 4711,
    "name": "张三",
    "doors": ["north", {"floor": 2}],
    "share": 0.5,
    "regular": True,
    "until": None,
}
LATER = "2099-12-31T23:59:59.5+08:00"
KEPT = {"remark": "Zoë", "metadata": METADATA, "expires_at": "2099-12-31T15:59:59.500000Z"}
IN_QUERY = f"remark={quote('Zoë')}&metadata={quote(json.dumps(METADATA))}&expires_at={quote(LATER)}"


async def change(caller: Caller, face: dict[str, Any], **body: Any) -> Any:
    return await caller.ask("PATCH", f"/v1/faces/{face['face_id']}", 200, json=body)


async def test_they_come_in_the_query_or_beside_the_photo(caller: Caller, portraits: dict[str, bytes]) -> None:
    """In a form or in JSON; every answer about the face has them."""
    photo = portraits["obama"]
    texts = {"remark": "Zoë", "metadata": json.dumps(METADATA, ensure_ascii=False), "expires_at": LATER}
    form = multipart(("image", photo), *((name, text.encode()) for name, text in texts.items()))
    in_json = {"image": base64.b64encode(photo).decode(), **texts, "metadata": METADATA}
    ways: list[tuple[str, dict[str, Any]]] = [
        (f"?{IN_QUERY}", {"data": photo, "headers": {"Content-Type": "image/jpeg"}}),
        (f"?{IN_QUERY}", multipart(("image", photo))),
        ("", form),
        ("", {"json": in_json}),
    ]
    numbers = set()
    for query, options in ways:
        [face] = (await caller.ask("POST", f"/v1/faces{query}", 201, **options))["faces"]
        assert {name: face[name] for name in KEPT} == KEPT
        shown = await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200)
        assert {name: shown[name] for name in KEPT} == KEPT
        assert (await caller.ask("GET", "/v1/faces", 200))["faces"] == [shown]
        numbers.add(face["face_id"])
    assert len(numbers) == 1
    for query, options in ways[2:]:
        await caller.fails(400, "invalid_request", "POST", f"/v1/faces?remark=Ann{query}", **options)
    await caller.fails(400, "invalid_request", "POST", "/v1/faces", **multipart(("image", photo)))


@pytest.mark.parametrize(
    "metadata", ["", "[]", "1", "{", '{"a":NaN}', '{"a":1e999}', "[" * 9000, '{"a":"%s"}' % ("x" * 4096)]
)
async def test_metadata_that_cannot_be_kept(caller: Caller, portraits: dict[str, bytes], metadata: str) -> None:
    """Is refused wherever it stands."""
    photo = portraits["obama"]
    options = {"data": photo, "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(400, "invalid_request", "POST", f"/v1/faces?remark=a&metadata={quote(metadata)}", **options)
    form = multipart(("image", photo), ("remark", b"a"), ("metadata", metadata.encode()))
    await caller.fails(400, "invalid_request", "POST", "/v1/faces", **form)
    if metadata:
        body = f'{{"image": "{base64.b64encode(photo).decode()}", "remark": "a", "metadata": {metadata}}}'
        headers = {"Content-Type": "application/json"}
        await caller.fails(400, "invalid_request", "POST", "/v1/faces", data=body, headers=headers)
        await caller.fails(
            400, "invalid_request", "PATCH", "/v1/faces/1", data=f'{{"metadata": {metadata}}}', headers=headers
        )


@pytest.mark.parametrize(
    "time",
    [
        *(
            "",
            "tomorrow",
            "2099-12-31",
            "2099-12-31T00:00:00",
            "2099-12-31 00:00:00Z",
            "4102444800",
            "2099-02-30T00:00:00Z",
        ),
        *(
            "2099-12-31T24:00:01Z",
            "2099-12-31T00:00:60Z",
            "2099-12-31T00:00:00+14:60",
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
        ),
        *("2020-01-01T00:00:00Z", "２０９９-12-31T00:00:00Z", "2099-12-31T00:00:00+99:99", "2099-12-31T00:00:00+0800"),
    ],
)
async def test_a_time_that_is_none_or_is_past(caller: Caller, portraits: dict[str, bytes], time: str) -> None:
    """Is refused, also for a face that is there."""
    [face] = await caller.register(portraits["obama"], "remark=a")
    options = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(400, "invalid_request", "POST", f"/v1/faces?remark=b&expires_at={quote(time)}", **options)
    for value in (time, 4102444800, True, [time]):
        path = f"/v1/faces/{face['face_id']}"
        await caller.fails(400, "invalid_request", "PATCH", path, json={"expires_at": value})


async def test_what_is_not_said_of_a_face_stays(caller: Caller, portraits: dict[str, bytes]) -> None:
    """And null takes it away; the same photo and remark again bring only what they say."""
    [face] = await caller.register(portraits["obama"], IN_QUERY)
    shown = await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200)
    assert await change(caller, face) == shown
    assert await change(caller, face, metadata={"a": 1}) == {**shown, "metadata": {"a": 1}}
    assert await change(caller, face, expires_at=None) == {**shown, "metadata": {"a": 1}, "expires_at": None}
    changed = await change(caller, face, remark="Ann", metadata=None)
    assert changed == {**shown, "remark": "Ann", "metadata": None, "expires_at": None}
    assert await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200) == changed
    assert [each["remark"] for each in (await caller.ask("GET", "/v1/people", 200))["people"]] == ["Ann"]
    await change(caller, face, remark="Zoë")
    [again] = await caller.register(portraits["obama"], f"remark={quote('Zoë')}&metadata=%7B%22b%22%3A2%7D")
    assert (again["face_id"], again["metadata"], again["expires_at"]) == (face["face_id"], {"b": 2}, None)


async def test_odd_names_and_the_last_moment_are_kept(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Whatever a store may take for a path of its own, and the latest time that there is."""
    odd = {
        "": 1,
        "a.b": 2,
        "a[0]": {"c[]": [None, [], {}]},
        '"': "\x00",
        "张.三": -0.5,
        "a/b": 2**53 - 1,
        "picture": "x",
    }
    last = "9999-12-31T23:59:59.999999Z"
    [face] = await caller.register(portraits["obama"], f"remark=a&metadata={quote(json.dumps(odd))}&expires_at={last}")
    assert (face["metadata"], face["expires_at"]) == (odd, last)
    changed = await change(caller, face, metadata={"a": odd["a[0]"], "remark": "no"}, expires_at=last)
    assert (changed["metadata"], changed["remark"]) == ({"a": odd["a[0]"], "remark": "no"}, "a")
    assert await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200) == changed
    [seen] = (await caller.about(portraits["obama"], "/v1/identify"))["faces"]
    assert seen["matches"][0]["face_id"] == face["face_id"]
    largest = "9" * 17
    assert (await caller.ask("GET", f"/v1/people?cursor={largest}-{largest}", 200))["people"] == []
    assert (await caller.ask("GET", f"/v1/faces?cursor={largest}-{largest[1:]}", 200))["faces"] == []


async def test_a_change_that_is_none(caller: Caller, portraits: dict[str, bytes]) -> None:
    """A remark can't be taken away, and what isn't kept can't be changed."""
    [face] = await caller.register(portraits["obama"], "remark=a")
    path = f"/v1/faces/{face['face_id']}"
    bodies: list[Any] = [{"remark": None}, {"remark": ""}, {"gallery": "x"}, {"picture": None}, [], "a", {"a": 1}]
    for body in bodies:
        await caller.fails(400, "invalid_request", "PATCH", path, json=body)
    await caller.fails(404, "unknown_face", "PATCH", "/v1/faces/7", json={"remark": "a"})
    await caller.fails(415, "unsupported_body", "PATCH", path, data=b"{}", headers={"Content-Type": "text/plain"})


async def test_of_many_changes_at_once_none_undoes_another(caller: Caller, portraits: dict[str, bytes]) -> None:
    [face] = await caller.register(portraits["obama"], "remark=a")
    await asyncio.gather(
        *(change(caller, face, **each) for each in ({"remark": "b"}, {"metadata": {"c": 1}}, {"expires_at": LATER}))
    )
    shown = await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200)
    assert (shown["remark"], shown["metadata"], shown["expires_at"]) == ("b", {"c": 1}, KEPT["expires_at"])


@pytest.mark.slow
async def test_a_face_whose_time_is_up_is_gone(caller: Caller, portraits: dict[str, bytes]) -> None:
    """At once, for all that ask; and the same photo can be registered again."""
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    [face] = await caller.register(portraits["obama"], f"remark=a&expires_at={quote(soon)}")
    [other] = await caller.register(portraits["obama2"], "remark=a")
    path = f"/v1/faces/{face['face_id']}"
    await asyncio.sleep(2.1)
    for method, each in (("GET", path), ("GET", f"{path}/picture")):
        await caller.fails(404, "unknown_face", method, each)
    await caller.fails(404, "unknown_face", "PATCH", path, json={"expires_at": None})
    assert [each["face_id"] for each in (await caller.ask("GET", "/v1/faces", 200))["faces"]] == [other["face_id"]]
    person = await caller.ask("GET", "/v1/people/a", 200)
    assert (person["faces"], person["face_id"]) == (1, other["face_id"])
    [seen] = (await caller.about(portraits["obama"], "/v1/identify?group=face"))["faces"]
    assert [each["face_id"] for each in seen["matches"]] == [other["face_id"]]
    await caller.about(portraits["obama"], f"/v1/verify?face_id={face['face_id']}", 404)
    assert (await caller.about(portraits["obama"], "/v1/verify?remark=a"))["similarity"] < 0.99
    [again] = await caller.register(portraits["obama"], "remark=a")
    assert (again["face_id"], again["expires_at"]) == (face["face_id"], None)
    assert (await caller.ask("GET", path, 200))["expires_at"] is None


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.slow
async def test_a_service_removes_what_has_expired(settings: Settings, portraits: dict[str, bytes]) -> None:
    """Also what did so while no service ran."""
    async with running(settings) as client:
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        await Caller(client).register(portraits["obama"], f"remark=a&expires_at={quote(soon)}")
    await asyncio.sleep(1)
    async with running(settings) as client, asyncio.timeout(10):
        while (await Caller(client).ask("GET", "/v1/stats", 200))["faces"]:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.05)
