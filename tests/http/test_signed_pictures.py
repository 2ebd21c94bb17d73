"""Pictures are shown at signed addresses, to whoever has one, and no others are."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from service.picture_addresses import PictureAddresses
from service.settings import Settings
from service.stores.qdrant.points import PHOTO
from tests.conftest import MODELS, running
from tests.support.device import Client
from tests.support.keys import CONSOLE, READER, VISITORS, bearing, keys_file
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS),
    pytest.mark.slow,
]


KEY = "the-key-of-pictures-of-these-tests"


@dataclass(frozen=True)
class Shown:
    """A service that asks everybody for a key, and two faces of it with the payloads that Qdrant has of them."""

    client: Client
    payloads: dict[int, dict[str, Any]]

    async def get(self, address: str, **headers: str) -> tuple[int, bytes]:
        """What a browser is answered, which sends no key."""
        path = URL(address.replace("https://faces.example", ""), encoded=True)
        async with self.client.get(path, headers=headers) as response:
            return response.status, await response.read()

    async def asked(self, method: str, path: str, key: str, status: int = 200, **options: Any) -> Any:
        """What /v1 answers to a key."""
        async with self.client.request(method, path, headers=bearing(key), **options) as response:
            assert response.status == status, await response.text()
            return await response.json()

    @property
    def addresses(self) -> list[str]:
        return [payload[PHOTO] for payload in self.payloads.values()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, bytes]) -> AsyncIterator[Shown]:
    folder = tmp_path_factory.mktemp("shown")
    server = Qdrant()
    await server.start()
    settings = Settings(
        data=folder,
        model_dir=MODELS,
        model="casia-webface",
        keys=keys_file(folder / "keys.toml"),
        qdrant_url=server.url,
        qdrant_grpc_port=server.port,
        public_url="https://faces.example",
        picture_key=KEY,
    )
    async with running(settings) as client:
        for name in ("obama", "biden"):
            headers = {"Content-Type": "image/jpeg", **bearing(CONSOLE)}
            async with client.post(f"/v1/faces?remark={name}", data=portraits[name], headers=headers) as response:
                assert response.status == 201
        asking = server.client()
        records, _ = await asking.scroll("faces", with_payload=True)
        await asking.close()
        yield Shown(client, {int(each.id): each.payload for each in records if each.id and each.payload})
    await server.stop()


async def test_each_face_has_the_address_of_its_picture(shown: Shown) -> None:
    """It is opened without a key, which everything else needs, and is the picture that a key is shown."""
    for face_id, payload in shown.payloads.items():
        assert payload[PHOTO].startswith(f"https://faces.example/v1/faces/{face_id}/picture.jpg?signature=")
        async with shown.client.get(f"/v1/faces/{face_id}/picture", headers=bearing(CONSOLE)) as response:
            expected, tag = await response.read(), response.headers["ETag"]
        assert await shown.get(payload[PHOTO]) == (200, expected)
        assert await shown.get(payload[PHOTO], **{"If-None-Match": tag}) == (304, b"")
        assert (await shown.get(f"/v1/faces/{face_id}/picture"))[0] == 401


async def test_an_address_opens_no_other_picture(shown: Shown) -> None:
    """Nor one that was changed in whatever place; what is refused tells nothing of whether there is such a face."""
    (one, first), (other, second) = ((face_id, payload[PHOTO]) for face_id, payload in shown.payloads.items())
    forged = [
        first.replace(f"/{one}/", f"/{other}/"),
        second.replace(f"/{other}/", f"/{one}/"),
        first.replace(f"/{one}/", "/1/"),
        first.partition("?")[0],
        first[:-1],
        first[:-1] + ("0" if first[-1] != "0" else "1"),
        f"{first}0",
        f"{first}%00",
        f"{first}%ED%A0%80",
        first.replace("signature=", "signature=&signature="),
        f"{first}&{second.partition('?')[2]}",
        first.replace("signature=", "Signature="),
    ]
    refusals = set()
    for address in forged:
        status, body = await shown.get(address)
        assert status == 403, address
        refusals.add(json.loads(body)["detail"])
    assert len(refusals) == 1
    assert (await shown.get(first.replace(f"/{one}/", f"/0{one}/")))[0] in {200, 403}  # the same number
    for number in ("0", "-1", "x", "9" * 30, "%2e%2e"):
        assert (await shown.get(first.replace(f"/{one}/", f"/{number}/")))[0] in {400, 401, 404}


async def test_an_address_opens_nothing_else(shown: Shown) -> None:
    """Its signature is no key."""
    signed = shown.addresses[0].partition("?")[2]
    for path in ("/v1/faces", "/v1/people", "/v1/export", "/v1/stats"):
        assert (await shown.get(f"{path}?{signed}"))[0] in {400, 401}
    async with shown.client.delete(URL(shown.addresses[0].replace("https://faces.example", ""))) as response:
        assert response.status in {401, 404, 405}


async def test_exports_have_no_addresses(shown: Shown) -> None:
    """They are made anew where the faces are imported, for the service there."""
    async with shown.client.get("/v1/export", headers=bearing(CONSOLE)) as response:
        assert b"faces.example" not in await response.read()


async def test_answers_have_addresses_that_expire(shown: Shown) -> None:
    """Where they are asked for; each opens its picture without a key, and no answer has the picture itself."""
    page = (await shown.asked("GET", "/v1/faces?include=photo", READER))["faces"]
    assert {each["face_id"] for each in page} == shown.payloads.keys()
    for each in page:
        path = f"/v1/faces/{each['face_id']}"
        assert await shown.asked("GET", f"{path}?include=photo", READER) == each
        async with shown.client.get(f"{path}/picture", headers=bearing(READER)) as response:
            assert await shown.get(each["photo"]["url"]) == (200, await response.read())
        assert "picture" not in each
    assert "photo" not in (await shown.asked("GET", "/v1/faces", READER))["faces"][0]


async def test_matches_have_addresses_that_expire(shown: Shown, portraits: dict[str, bytes]) -> None:
    """Whoever is recognised is shown by a page that has no key."""
    photo, headers = portraits["obama"], {"Content-Type": "image/jpeg", **bearing(CONSOLE)}
    async with shown.client.post("/v1/identify?include=photo,size", data=photo, headers=headers) as response:
        found = await response.json()
    async with shown.client.post("/v1/embed", data=photo, headers=headers) as response:
        embedding = (await response.json())["faces"][0]["embedding"]
    asked = await shown.asked("POST", "/v1/identify/embedding?include=photo", CONSOLE, json={"embedding": embedding})
    assert found["faces"][0]["matches"] == asked["matches"]
    for match in asked["matches"]:
        status, body = await shown.get(match["photo"]["url"])
        assert (status, body[:2]) == (200, b"\xff\xd8")


async def test_an_address_that_expires_opens_no_other_picture(shown: Shown) -> None:
    """Nor in another gallery, nor for longer, nor without an end; what is over says so."""
    one, other = shown.payloads
    made = PictureAddresses(public_url="https://faces.example", keys=(KEY,))
    url = made.passing(one, gallery="default").url
    assert (await shown.get(url))[0] == 200
    expires = URL(url).query["expires"]
    forged = [
        url.replace(f"/{one}/", f"/{other}/"),
        url.replace("gallery=default", "gallery=visitors"),
        url.replace("gallery=default", "gallery=%ED%A0%80"),
        url.replace("gallery=default&", ""),
        url.replace(f"expires={expires}", f"expires={int(expires) + 60}"),
        url.replace(f"expires={expires}", "expires=" + "9" * 5000),
        url.replace(f"expires={expires}", "expires=never"),
        url.replace(f"expires={expires}&", ""),
        f"{url}&expires={expires}",
        f"{url}&include=picture",
        shown.payloads[one][PHOTO] + f"&gallery=default&expires={expires}",
    ]
    for address in forged:
        status, body = await shown.get(address)
        assert status == 403, address
        assert "isn't as it was made" in json.loads(body)["detail"]
    past = PictureAddresses(public_url="https://faces.example", keys=(KEY,), clock=lambda: time.time() - 661)
    status, body = await shown.get(past.passing(one, gallery="default").url)
    assert (status, json.loads(body)["code"]) == (403, "operation_denied")
    assert "expired" in json.loads(body)["detail"]


async def test_an_address_is_of_a_gallery(shown: Shown) -> None:
    """A key gets addresses of its own galleries only; a number that another gallery has isn't shown."""
    assert (await shown.asked("GET", "/v1/faces?include=photo", VISITORS, status=403))["code"] == "operation_denied"
    made = PictureAddresses(public_url="https://faces.example", keys=(KEY,))
    elsewhere = made.passing(next(iter(shown.payloads)), gallery="visitors").url
    assert (await shown.get(elsewhere))[0] == 404  # there is no such gallery
    async with shown.client.put("/v1/galleries/visitors", headers=bearing(CONSOLE)) as response:
        assert response.status == 201
    status, body = await shown.get(elsewhere)
    assert (status, json.loads(body)["code"]) == (404, "unknown_face")


async def test_the_address_of_a_deleted_face_opens_nothing(shown: Shown) -> None:
    """The last test of these."""
    face_id, payload = shown.payloads.popitem()
    passing = (await shown.asked("GET", f"/v1/faces/{face_id}?include=photo", READER))["photo"]["url"]
    assert (await shown.get(passing))[0] == 200
    async with shown.client.delete(f"/v1/faces/{face_id}", headers=bearing(CONSOLE)) as response:
        assert response.status == 204
    assert (await shown.get(payload[PHOTO]))[0] == 404
    assert (await shown.get(passing))[0] == 404
