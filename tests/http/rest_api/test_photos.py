"""Photos are asked about through /v1: detect, embed, identify, verify."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import pytest

from service.gallery.thresholds import VERIFICATION
from tests.http.rest_api.conftest import Caller
from tests.support.device import Client, form, multipart, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_face_is_detected(caller: Caller, two: bytes) -> None:
    """The largest first, in pixels of the photo; a photo without a face has none."""
    seen = await caller.about(two, "/v1/detect")
    assert (seen["width"], seen["height"], seen["rotation"]) == (480, 300, 0)
    first, second = seen["faces"]
    assert first["box"]["right"] < 240
    assert second["box"]["left"] > 300
    assert first["quality"]["side"] > second["quality"]["side"]


async def test_a_photo_without_faces_has_none(caller: Caller, no_face: bytes) -> None:
    """That is an answer, but nothing to compare with."""
    for path in ("/v1/detect", "/v1/embed", "/v1/identify"):
        assert (await caller.about(no_face, path))["faces"] == []
    for path in ("/v1/faces?remark=a", "/v1/verify?face_id=1"):
        assert (await caller.about(no_face, path, 422))["code"] in {"face_not_found", "face_uncertain"}


async def test_embeddings_are_what_similarities_are_made_of(caller: Caller, portraits: dict[str, bytes]) -> None:
    """The dot product of two photos' embeddings is the similarity that a verification tells."""
    vectors = []
    for name in ("obama", "obama2"):
        [face] = (await caller.about(portraits[name], "/v1/embed"))["faces"]
        vectors.append(np.array(face["embedding"]))
        assert np.linalg.norm(vectors[-1]) == pytest.approx(1, abs=1e-4)
    body = multipart(("image", portraits["obama"]), ("other_image", portraits["obama2"]))
    told = await caller.ask("POST", "/v1/verify", 200, **body)
    assert told["similarity"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=2e-3)


async def test_the_size_of_the_photo(caller: Caller, two: bytes) -> None:
    """For who draws boxes; where it is asked for, together with the pictures or without."""
    for include in ("size", "picture,size"):
        found = await caller.about(two, f"/v1/identify?include={include}")
        assert (found["width"], found["height"], found["rotation"]) == (480, 300, 0)
    assert "width" not in await caller.about(two, "/v1/identify?include=picture")
    assert "invalid" in (await caller.about(two, "/v1/identify?include=sizes", 400))["code"]


async def test_every_face_is_identified(caller: Caller, portraits: dict[str, bytes], two: bytes) -> None:
    """Each with its people best first; who isn't registered is matched by nobody."""
    await caller.register(portraits["obama2"], "remark=Obama")
    told = await caller.about(two, "/v1/identify")
    assert set(told) == {"model", "threshold", "gallery", "faces"}
    first, second = told["faces"]
    assert set(first) == {"box", "landmarks", "detection_score", "quality", "matched", "matches"}
    assert (first["matched"], first["matches"][0]["remark"]) == (True, "Obama")
    assert first["matches"][0]["score"] >= told["threshold"] > second["matches"][0]["score"]
    assert second["matched"] is False
    assert set(first["matches"][0]) == {"remark", "face_id", "score", "similarity", "matched"}


async def test_how_many_and_which_matches_is_the_callers_choice(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Each remark or each face, fewer, with pictures, and by another threshold."""
    for name, remark in (("obama2", "Obama"), ("obama3", "Obama"), ("biden", "Biden")):
        await caller.register(portraits[name], f"remark={remark}")

    async def matches(query: str) -> list[dict[str, Any]]:
        [face] = (await caller.about(portraits["obama"], f"/v1/identify?{query}"))["faces"]
        found: list[dict[str, Any]] = face["matches"]
        return found

    assert [each["remark"] for each in await matches("")] == ["Obama", "Biden"]
    assert [each["remark"] for each in await matches("group=face")] == ["Obama", "Obama", "Biden"]
    assert len(await matches("group=face&limit=2")) == 2
    picture((await matches("include=picture"))[0]["picture"])
    assert not any(each["matched"] for each in await matches("threshold=1"))
    assert all(each["matched"] for each in await matches("threshold=-1"))
    rates = (0.001, 0.01, 0.3)
    thresholds = [(await caller.about(portraits["obama"], f"/v1/identify?fpir={each}"))["threshold"] for each in rates]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 3


async def test_an_embedding_is_identified_as_its_photo_is(caller: Caller, portraits: dict[str, bytes]) -> None:
    """Of any length; one of another dimension, or with something else than numbers, is refused."""
    await caller.register(portraits["obama2"], "remark=Obama")
    [face] = (await caller.about(portraits["obama"], "/v1/embed"))["faces"]
    [seen] = (await caller.about(portraits["obama"], "/v1/identify"))["faces"]
    path = "/v1/identify/embedding"
    for times in (1, 37.5):
        told = await caller.ask("POST", path, 200, json={"embedding": [times * each for each in face["embedding"]]})
        assert told["matched"] is True
        assert told["matches"][0]["score"] == pytest.approx(seen["matches"][0]["score"], abs=2e-3)
    await caller.ask("POST", path, 200, json={"embedding": [0.0] * 512})
    wrongs: list[Any] = [{"embedding": [1.0] * 511}, {"embedding": ["x"] * 512}, {}, []]
    for wrong in (*wrongs, {"embedding": [1.0] * 512, "x": 1}):
        await caller.fails(400, "invalid_request", "POST", path, json=wrong)
    await caller.fails(400, "invalid_request", "POST", path, json={"embedding": [0.1] * 200_000})
    await caller.fails(415, "unsupported_body", "POST", path, data=b"x", headers={"Content-Type": "image/jpeg"})


async def test_a_photo_is_verified_against_a_remark_or_a_face(caller: Caller, portraits: dict[str, bytes]) -> None:
    """By the most similar face of the remark; who has none is unknown."""
    registered = [(await caller.register(portraits[name], "remark=Obama"))[0] for name in ("obama2", "obama3")]
    each = [
        (await caller.about(portraits["obama"], f"/v1/verify?face_id={face['face_id']}"))["similarity"]
        for face in registered
    ]
    told = await caller.about(portraits["obama"], "/v1/verify?remark=Obama")
    assert told["similarity"] == pytest.approx(max(each), abs=1e-3)
    assert told["score"] == told["similarity"]
    assert told["threshold"] == VERIFICATION["casia-webface"]
    assert told["same"] == (told["similarity"] >= told["threshold"])
    assert (await caller.about(portraits["biden"], "/v1/verify?remark=Obama"))["same"] is False
    assert (await caller.about(portraits["obama"], "/v1/verify?remark=Obama&threshold=0.2"))["same"] is True
    options = {"data": portraits["obama"], "headers": {"Content-Type": "image/jpeg"}}
    await caller.fails(404, "unknown_person", "POST", "/v1/verify?remark=nobody", **options)
    await caller.fails(404, "unknown_face", "POST", "/v1/verify?face_id=1", **options)
    await caller.fails(400, "invalid_request", "POST", "/v1/verify", **options)
    await caller.fails(400, "invalid_request", "POST", "/v1/verify?remark=a&face_id=1", **options)


async def test_a_photo_comes_in_any_of_three_ways(caller: Caller, portraits: dict[str, bytes]) -> None:
    """As the body, in a form or in JSON; the answer is the same."""
    photo = portraits["obama"]
    ways: list[dict[str, Any]] = [
        {"data": photo, "headers": {"Content-Type": "image/png"}},
        {"data": form(photo)},
        {"json": {"image": base64.b64encode(photo).decode()}},
    ]
    told = [await caller.ask("POST", "/v1/detect", 200, **way) for way in ways]
    assert told[0] == told[1] == told[2]


async def test_two_photos_come_in_a_form_or_in_json(caller: Caller, portraits: dict[str, bytes]) -> None:
    names = {"image": portraits["obama"], "other_image": portraits["obama2"]}
    in_json = {name: base64.b64encode(photo).decode() for name, photo in names.items()}
    told = [
        await caller.ask("POST", "/v1/verify", 200, **multipart(*names.items())),
        await caller.ask("POST", "/v1/verify", 200, json=in_json),
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("status", "code", "options"),
    [
        (400, "invalid_request", {"data": b"", "headers": {"Content-Type": "image/jpeg"}}),
        (400, "invalid_request", {"json": {"image": ""}}),
        (400, "invalid_request", {"json": {"image": "no base64"}}),
        (400, "invalid_request", {"json": {"image": "http://example.com/me.jpg"}}),
        (400, "invalid_request", {"json": {"url": "http://example.com/me.jpg"}}),
        (400, "invalid_request", {"json": {"image": "AAAA", "url": "http://example.com/me.jpg"}}),
        (400, "invalid_request", {"data": b"{", "headers": {"Content-Type": "application/json"}}),
        (400, "invalid_request", multipart(("photo", b"x"))),
        (400, "invalid_request", multipart(("image", b""), end=b"")),
        (415, "unsupported_format", multipart(("image", b"x"), end=b"")),
        (415, "unsupported_body", {"data": b"x", "headers": {"Content-Type": "text/plain"}}),
        (415, "unsupported_body", {"data": {"image": "http://example.com/me.jpg"}}),
        (415, "unsupported_format", {"data": b"no photo", "headers": {"Content-Type": "image/jpeg"}}),
        (422, "invalid_image", {"data": b"\xff\xd8\xff\xe0 damaged", "headers": {"Content-Type": "image/jpeg"}}),
    ],
)
async def test_what_is_no_photo_is_refused(caller: Caller, status: int, code: str, options: dict[str, Any]) -> None:
    """With the status and the code that say why; an address is never asked for a photo."""
    for path in ("/v1/detect", "/v1/embed", "/v1/identify", "/v1/verify?face_id=1", "/v1/faces?remark=a"):
        await caller.fails(status, code, "POST", path, **options)


async def test_a_photo_that_is_too_large_is_refused(strict_service: Client, portraits: dict[str, bytes]) -> None:
    """In each of the three ways, with or without a length told before."""
    caller = Caller(strict_service)
    large = max(portraits.values(), key=len) + b"x"

    async def pieces() -> Any:
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    ways: list[dict[str, Any]] = [
        {"data": large, "headers": {"Content-Type": "image/jpeg"}},
        {"data": pieces(), "headers": {"Content-Type": "image/jpeg"}},
        {"data": form(large)},
        {"json": {"image": base64.b64encode(large).decode()}},
        {"json": {"image": base64.b64encode(large * 9).decode()}},
    ]
    for way in ways:
        await caller.fails(413, "image_too_large", "POST", "/v1/detect", **way)


async def test_too_many_at_once_are_told_when_to_come_back(strict_service: Client, portraits: dict[str, bytes]) -> None:
    """503 with Retry-After, as RFC 9110 has it."""
    caller = Caller(strict_service)

    async def ask() -> tuple[int, str | None]:
        async with caller.http.post(
            "/v1/detect", data=portraits["biden"], headers={"Content-Type": "image/jpeg"}
        ) as response:
            return response.status, response.headers.get("Retry-After")

    answers = await asyncio.gather(*(ask() for _ in range(24)))
    assert set(answers) == {(200, None), (503, "1")}
