"""Many photos with one request: an outcome each, in their order; none stops another, and few are in memory."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from service.errors import Overloaded, StoreUnavailable
from service.gallery.gallery import Gallery
from service.http.rest_api import batch
from service.http.rest_api.batch_form import MAX_PHOTOS
from service.retry import Backoff
from service.settings import Settings
from tests.conftest import running
from tests.http.rest_api.conftest import Caller
from tests.support.device import jpeg, multipart, variants

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

BATCH = "/v1/faces:batch"


async def send(caller: Caller, *parts: tuple[str, bytes], query: str = "") -> list[dict[str, Any]]:
    """The outcomes of a request that is answered with 200."""
    answer = await caller.ask("POST", f"{BATCH}{query}", 200, **multipart(*parts))
    outcomes: list[dict[str, Any]] = answer["outcomes"]
    return outcomes


def told(outcomes: list[dict[str, Any]]) -> list[Any]:
    """Of each outcome the remarks of its faces, or the status and the code of its problem."""
    return [
        [face["remark"] for face in each["faces"]]
        if each["status"] == 201
        else (each["status"], each["problem"]["code"])
        for each in outcomes
    ]


async def test_a_remark_holds_until_the_next_one(caller: Caller, portraits: dict[str, bytes]) -> None:
    """The outcomes come in the order of the photos, and each face is found by its number."""
    outcomes = await send(
        caller,
        ("remark", "Zoë".encode()),
        ("image", portraits["obama"]),
        ("image", portraits["obama2"]),
        ("remark", b"Ann"),
        ("image", portraits["biden"]),
    )
    assert told(outcomes) == [["Zoë"], ["Zoë"], ["Ann"]]
    for each in outcomes:
        [face] = each["faces"]
        shown = await caller.ask("GET", f"/v1/faces/{face['face_id']}", 200)
        assert shown["remark"] == face["remark"]
    assert len((await caller.ask("GET", "/v1/faces", 200))["faces"]) == 3


async def test_metadata_and_time_are_the_next_photo_s(caller: Caller, portraits: dict[str, bytes]) -> None:
    """And no other one's."""
    outcomes = await send(
        caller,
        ("metadata", b'{"badge": 1}'),
        ("remark", b"Ann"),
        ("expires_at", b"2099-12-31T00:00:00Z"),
        ("image", portraits["obama"]),
        ("image", portraits["biden"]),
    )
    [one], [other] = (each["faces"] for each in outcomes)
    assert (one["metadata"], one["expires_at"]) == ({"badge": 1}, "2099-12-31T00:00:00Z")
    assert (other["metadata"], other["expires_at"]) == (None, None)


async def test_it_says_what_is_new(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Repeated, all is known; so it is where a photo comes twice, or came with a request of its own."""
    parts = [("remark", b"Ann"), ("image", portraits["obama"]), ("image", portraits["biden"])]
    first, again = await send(caller, *parts), await send(caller, *parts)
    assert [[face["new"] for face in each["faces"]] for each in first] == [[True], [True]]
    assert [[face["new"] for face in each["faces"]] for each in again] == [[False], [False]]
    assert [face["new"] for face in await caller.register(portraits["obama"], "remark=Ann")] == [False]
    assert [face["new"] for face in await caller.register(portraits["obama"], "remark=Eve")] == [True]
    twice = await send(caller, ("remark", b"x"), *[("image", portraits["astronaut"])] * 2)
    assert sorted(face["new"] for each in twice for face in each["faces"]) == [False, True]
    assert len({face["face_id"] for each in twice for face in each["faces"]}) == 1


async def test_one_bad_photo_stops_nothing(caller: Caller, portraits: dict[str, bytes], no_face: bytes) -> None:
    """Whatever is wrong with it or with what stands before it."""
    outcomes = await send(
        caller,
        ("image", portraits["obama"]),  # no remark yet
        ("remark", b""),
        ("image", portraits["obama"]),
        ("remark", b"\xff"),
        ("image", portraits["obama"]),
        ("remark", b"x" * 1025),
        ("image", portraits["obama"]),
        ("remark", b"x" * 100_000),
        ("image", portraits["obama"]),
        ("remark", b"Ann"),
        ("image", b""),
        ("image", b"hello"),
        ("image", no_face),
        ("image", portraits["obama"][:2000]),
        ("metadata", b"[NaN]"),
        ("image", portraits["obama"]),
        ("metadata", b"{}"),
        ("metadata", b"{}"),
        ("image", portraits["obama"]),
        ("expires_at", b"2001-01-01T00:00:00Z"),
        ("image", portraits["obama"]),
        ("image", portraits["biden"]),
    )
    assert told(outcomes) == [
        *[(400, "invalid_request")] * 6,
        *[(415, "unsupported_format"), (422, "face_not_found"), (422, "invalid_image")],
        *[(400, "invalid_request")] * 3,
        ["Ann"],
    ]
    assert "send it in a part before the photo" in outcomes[0]["problem"]["detail"]
    assert [face["remark"] for face in (await caller.ask("GET", "/v1/faces", 200))["faces"]] == ["Ann"]


async def test_the_query_holds_for_all_photos(caller: Caller, portraits: dict[str, bytes], two: bytes) -> None:
    """The gallery, which faces, and how good they must be."""
    await caller.ask("PUT", "/v1/galleries/visitors", 201)
    parts = [("remark", b"Ann"), ("image", two), ("image", portraits["obama"])]
    outcomes = await send(caller, *parts, query="?gallery=visitors&faces=all")
    assert [len(each["faces"]) for each in outcomes] == [2, 1]
    assert {face["gallery"] for each in outcomes for face in each["faces"]} == {"visitors"}
    assert told(await send(caller, *parts, query="?faces=single"))[0] == (422, "multiple_faces")
    with Image.open(io.BytesIO(portraits["obama"])) as photo:
        small = ("image", jpeg(photo.resize((80, 80)), quality=95))
    assert told(await send(caller, parts[0], small, query="?quality=off")) == [["Ann"]]
    [(status, _)] = told(await send(caller, parts[0], small, query="?quality=strict"))
    assert status == 422
    await caller.fails(404, "unknown_gallery", "POST", f"{BATCH}?gallery=nobodys", **multipart(*parts))
    await caller.fails(400, "invalid_request", "POST", f"{BATCH}?remark=Ann", **multipart(*parts))


async def test_a_form_that_can_t_be_read_fails_as_a_whole(caller: Caller, portraits: dict[str, bytes]) -> None:
    """What was registered by then stays, and repeating adds nothing."""
    photo = ("image", portraits["obama"])
    remark = ("remark", b"Ann")
    nested = "Content-Disposition: form-data; name=image\r\nContent-Type: multipart/mixed; boundary=x"
    for said, body in {
        "There is no photo": multipart(remark),
        "that this operation doesn't have": multipart(remark, photo, ("photo", b"x")),
        "belongs to no photo": multipart(remark, photo, ("metadata", b"{}")),
        "never comes": {**multipart(remark, photo), "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        "not a multipart body": multipart(remark, photo, (nested, b"--x--")),
        "parts of text": multipart(*[("remark", b"x")] * 200, photo),
    }.items():
        detail = await caller.fails(400, "invalid_request", "POST", BATCH, **body)
        assert said in detail
    jpeg: dict[str, Any] = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(415, "unsupported_body", "POST", BATCH, **jpeg)
    for boundary in ("", "; boundary=other"):
        broken = {**multipart(remark, photo), "headers": {"Content-Type": f"multipart/form-data{boundary}"}}
        await caller.fails(400, "invalid_request", "POST", BATCH, **broken)
    assert [face["remark"] for face in (await caller.ask("GET", "/v1/faces", 200))["faces"]] == ["Ann"]


async def test_there_are_64_photos_at_most(caller: Caller, portraits: dict[str, bytes]) -> None:
    """As many are registered; of one more the whole request says so, and the 64 stay."""
    photos = [("image", photo) for photo in variants(portraits["biden"], MAX_PHOTOS + 1)]
    outcomes = await send(caller, ("remark", b"Joe"), *photos[:-1])
    assert told(outcomes) == [["Joe"]] * MAX_PHOTOS
    assert all(face["new"] for each in outcomes for face in each["faces"])
    detail = await caller.fails(400, "invalid_request", "POST", BATCH, **multipart(("remark", b"Joe"), *photos))
    assert "more than 64 photos" in detail
    assert (await caller.ask("GET", "/v1/stats", 200))["faces"] == MAX_PHOTOS


async def test_a_photo_that_is_too_large_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, service_settings: Settings, portraits: dict[str, bytes]
) -> None:
    """The next one is registered; all together may have as many bytes as so many photos."""
    settings = replace(service_settings, data=tmp_path_factory.mktemp("small"), max_bytes=len(portraits["obama"]))
    async with running(settings) as http:
        caller = Caller(http)
        large = ("image", b"x" * 4 * settings.max_bytes)
        outcomes = await send(caller, ("remark", b"Ann"), large, ("image", portraits["obama"]))
        assert told(outcomes) == [(413, "image_too_large"), ["Ann"]]
        too_much = [("image", b"x" * 2**20)] * (2 + MAX_PHOTOS * settings.max_bytes // 2**20)
        form = multipart(("remark", b"Ann"), *too_much)
        form["data"] = io.BytesIO(form["data"])
        await caller.fails(413, "image_too_large", "POST", BATCH, **form)


async def test_a_busy_service_lets_photos_wait(
    caller: Caller, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are tried again within the request, a few at a time; after a while the outcome says that it is busy."""
    enroll, tried, at_work, most = Gallery.enroll_faces, 0, 0, 0

    async def busy(gallery: Gallery, *words: Any, **named: Any) -> Any:
        nonlocal tried, at_work, most
        tried, at_work = tried + 1, at_work + 1
        most = max(most, at_work)
        try:
            if tried % 2:
                raise Overloaded("Too many photos wait.")
            return await enroll(gallery, *words, **named)
        finally:
            at_work -= 1

    monkeypatch.setattr(Gallery, "enroll_faces", busy)
    photos = [("image", photo) for photo in variants(portraits["obama"], 12)]
    assert told(await send(caller, ("remark", b"Ann"), *photos)) == [["Ann"]] * 12
    assert tried > 12
    assert 1 < most <= batch.AT_ONCE

    async def always(*_: Any, **__: Any) -> Any:
        raise Overloaded("Too many photos wait.")

    monkeypatch.setattr(Gallery, "enroll_faces", always)
    monkeypatch.setattr(batch, "BUSY_LIMIT_S", 0.2)
    monkeypatch.setattr(batch, "BUSY_BACKOFF", Backoff(first_s=0.05, longest_s=0.05))
    assert told(await send(caller, ("remark", b"Ann"), photos[0])) == [(503, "overloaded")]


async def test_a_store_that_is_away_fails_the_request(
    caller: Caller, portraits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No photo is to blame for it; and what nobody thought of is the photo's outcome, without detail."""
    photos = [("image", photo) for photo in variants(portraits["obama"], 3)]

    async def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("The gallery is away.")

    with monkeypatch.context() as patched:
        patched.setattr(Gallery, "enroll_faces", away)
        await caller.fails(503, "store_unavailable", "POST", BATCH, **multipart(("remark", b"Ann"), *photos))
    enroll, calls = Gallery.enroll_faces, 0

    async def failing(gallery: Gallery, *words: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("secret")
        return await enroll(gallery, *words, **named)

    monkeypatch.setattr(Gallery, "enroll_faces", failing)
    outcomes = await send(caller, ("remark", b"Ann"), *photos)
    assert told(outcomes) == [["Ann"], (500, "unforeseen"), ["Ann"]]
    assert "secret" not in json.dumps(outcomes)


async def test_who_leaves_halfway_leaves_no_half(caller: Caller, portraits: dict[str, bytes]) -> None:
    """A client that breaks off in the middle of a photo has none of it registered, and may send all again."""
    whole = multipart(("remark", b"Ann"), ("image", portraits["obama"]), ("image", portraits["biden"]))
    body, headers = whole["data"], whole["headers"]
    url = caller.http.make_url(BATCH)
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {BATCH} HTTP/1.1\r\nHost: x\r\nContent-Type: {headers['Content-Type']}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-500])
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.2)
    assert (await caller.ask("GET", "/v1/stats", 200))["faces"] <= 1
    parts = [("remark", b"Ann"), ("image", portraits["obama"]), ("image", portraits["biden"])]
    assert told(await send(caller, *parts)) == [["Ann"], ["Ann"]]
    assert (await caller.ask("GET", "/v1/stats", 200))["faces"] == 2
