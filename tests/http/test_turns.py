"""Among whom the engine's turns are shared: devices, keys, else addresses."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from service.settings import Settings
from service.vision.fair_queue import Turn, Turns
from tests.conftest import Start
from tests.support.device import form
from tests.support.keys import CONSOLE, bearing, keys_file
from tests.support.signing import code, devices_file, signed


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who asked for a turn, one after another."""
    seen: list[str] = []
    turn = Turns.turn

    def noted(turns: Turns, caller: str) -> AbstractAsyncContextManager[Turn]:
        if caller:  # the service's own probe has none
            seen.append(caller)
        return turn(turns, caller)

    monkeypatch.setattr(Turns, "turn", noted)
    return seen


async def test_devices_and_keys(
    start: Start, settings: Settings, tmp_path: Path, portraits: dict[str, bytes], callers: list[str]
) -> None:
    """Wherever they ask from: the importer's key is another caller than the door beside it."""
    devices, keys = devices_file(tmp_path / "devices.toml"), keys_file(tmp_path / "keys.toml")
    client = await start(replace(settings, devices=devices, keys=keys))
    assert await code(client.port or 0, signed("POST", "/recognition_face", portraits["obama"])) == 0
    for path in ("/v1/detect", "/v1/identify"):
        async with client.post(path, data=form(portraits["obama"]), headers=bearing(CONSOLE)) as response:
            assert response.status == 200
    assert callers == ["device:door-7", "key:console", "key:console"]


async def test_addresses(start: Start, settings: Settings, portraits: dict[str, bytes], callers: list[str]) -> None:
    """Where nobody must say who they are; behind a trusted proxy, those that it names."""
    client = await start(replace(settings, trusted_proxies=(ip_network("127.0.0.1"),)))
    for headers in ({}, {"X-Forwarded-For": "192.0.2.7"}, {"X-Device-Id": "door-7"}):
        async with client.post("/recognition_face", data=form(portraits["obama"]), headers=headers) as response:
            assert (await response.json())["code"] == 0
    assert callers == ["127.0.0.1", "192.0.2.7", "127.0.0.1"]
