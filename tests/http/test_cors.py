"""Pages of other origins: those that the operator names may ask from a browser, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from service.settings import Settings
from tests.conftest import MODELS, Start
from tests.support.device import Client
from tests.support.keys import CONSOLE, bearing, keys_file
from tests.support.signing import exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESK, KIOSK, OTHER = "https://desk.example", "http://10.0.0.7:8080", "https://desk.example.evil.example"
PATHS = ("/v1/faces", "/v1/faces/7", "/registration_face", "/get_registration_face", "/openapi.json")


@pytest.fixture(scope="module")
def service_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A service with keys, for the pages of two origins."""
    folder: Path = tmp_path_factory.mktemp("cors")
    keys = keys_file(folder / "keys.toml")
    return Settings(
        data=folder / "data", model_dir=MODELS, model="casia-webface", keys=keys, cors_origins=(DESK, KIOSK)
    )


async def preflight(service: Client, path: str, origin: str) -> ClientResponse:
    """A browser's question before a request."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with service.options(path, headers=headers) as response:
        return response


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_needs_no_key(service: Client, path: str) -> None:
    """Since browsers send none with it; it is told the methods and the headers of a request."""
    for origin in (DESK, KIOSK):
        response = await preflight(service, path, origin)
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in response.headers["Vary"]
        assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == {
            *("GET", "POST", "PUT", "PATCH", "DELETE")
        }
        assert {
            *("Authorization", "Content-Type", "X-Device-Id", "X-Timestamp", "X-Nonce"),
            *("X-Content-SHA256", "X-Signature", "x-api-key"),
        } <= set(response.headers["Access-Control-Allow-Headers"].split(", "))
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("origin", [OTHER, "null", "*", "", DESK.upper(), f"{DESK}/", "http://desk.example"])
async def test_other_origins_are_told_nothing(service: Client, origin: str) -> None:
    """Neither before a request nor with its answer; caches know that the answer differs by origin."""
    response = await preflight(service, "/v1/faces", origin)
    assert response.status == 401
    assert not [name for name in response.headers if name.startswith("Access-Control-")]
    async with service.get("/v1/faces", headers={"Origin": origin, **bearing(CONSOLE)}) as answer:
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]
        assert "Origin" in answer.headers["Vary"]


async def test_answers_may_be_read(service: Client) -> None:
    """Successes, refusals, lists that are streamed, and what there isn't; with the headers that pages need."""
    for path, headers, status in (
        ("/v1/faces", bearing(CONSOLE), 200),
        ("/v1/faces", {}, 401),
        ("/v1/nothing", bearing(CONSOLE), 404),
        ("/get_registration_face", bearing(CONSOLE), 200),
        ("/get_registration_face", {}, 200),
        ("/nowhere", {}, 200),
    ):
        async with service.get(path, headers={"Origin": DESK, **headers}) as response:
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == DESK
            assert {"X-Request-Id", "ETag", "Date"} <= set(
                response.headers["Access-Control-Expose-Headers"].split(", ")
            )
            assert "Access-Control-Allow-Credentials" not in response.headers


async def test_what_isnt_a_preflight_is_a_request(service: Client) -> None:
    """OPTIONS alone is a method that no path has; without a key nobody is told so."""
    async with service.options("/v1/faces", headers={"Origin": DESK}) as response:
        assert response.status == 401
    async with service.options("/v1/faces", headers={"Origin": DESK, **bearing(CONSOLE)}) as response:
        assert response.status == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_machines_paths_are_for_no_page(service: Client, path: str) -> None:
    async with service.get(path, headers={"Origin": DESK}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Vary" not in response.headers
    assert (await preflight(service, path, DESK)).status != 204


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
async def test_all_origins_and_none(start: Start, settings: Settings) -> None:
    """`*` is any page, and the same answer for all; by default there are no such headers at all."""
    for origins, told in ((("*",), "*"), ((), None)):
        service = await start(replace(settings, cors_origins=origins, data=settings.data / f"{len(origins)}"))
        async with service.get("/v1/faces", headers={"Origin": OTHER}) as response:
            assert response.status == 200
            assert response.headers.get("Access-Control-Allow-Origin") == told
            assert "Vary" not in response.headers
        assert (await preflight(service, "/v1/faces", OTHER)).status == (405 if told is None else 204)


@pytest.mark.parametrize("broken", ["GET /v1/faces HTTP/1.1\r\nno colon", "CONNECT /v1/faces HTTP/1.1"])
@pytest.mark.parametrize(("origin", "told"), [(DESK, DESK), (OTHER, None)])
async def test_what_can_not_be_read_is_answered_to_pages_too(
    service: Client, broken: str, origin: str, told: str | None
) -> None:
    """So that a page can show what was wrong with its request."""
    wire = f"{broken}\r\nHost: x\r\nOrigin: {origin}\r\n\r\n"
    head, _ = await exchange(service.port or 0, wire.encode())
    lines = head.decode().splitlines()
    assert " 400 " in lines[0]
    assert [line for line in lines if line.startswith("Access-Control-Allow-Origin")] == (
        [f"Access-Control-Allow-Origin: {told}"] if told else []
    )
    assert "Vary: Origin" in lines
