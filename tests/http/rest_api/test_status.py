"""How the service is doing and who called lately, as /v1 tells it; the caller fixture checks each shape."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service import __version__
from service.http.overview import NO_KEYS, NO_THRESHOLD_SET, UNSAFE_COPIES, UNUSED_FPIR, warned_of
from service.settings import Settings
from tests.conftest import MODELS, Start
from tests.http.rest_api.conftest import Caller
from tests.support.device import Device
from tests.support.keys import CONSOLE, NOBODYS, READER, VISITORS, bearing, keys_file

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_status(caller: Caller, portraits: dict[str, bytes]) -> None:
    """What runs, the threshold for a gallery of this size, and the stages that photos went through."""
    await caller.register(portraits["obama"], "remark=Barack")
    told = await caller.ask("GET", "/v1/status", 200)
    assert (told["version"], told["model"], told["gallery"], told["faces"]) == (
        __version__,
        "casia-webface",
        "default",
        1,
    )
    found = await caller.about(portraits["obama2"], "/v1/identify")
    assert told["threshold"] == found["threshold"]
    assert told["measured"] is True
    assert told["disk"]["free_bytes"] < told["disk"]["total_bytes"]
    assert [each["code"] for each in told["warnings"]] == [NO_THRESHOLD_SET.code, NO_KEYS.code]
    stages = [each["stage"] for each in told["stages"]]
    assert stages[-1] == "total"
    assert {"decode", "detect", "embed"} < set(stages)
    assert all(0 <= each["median_ms"] <= each["p95_ms"] for each in told["stages"])


async def test_copies_that_may_part_are_warned_of(settings: Settings) -> None:
    """Two copies on a server; with three, two of them are written."""
    warned = [
        [each.code for each in warned_of(replace(settings, qdrant_url=url, qdrant_replicas=copies))]
        for url, copies in ((None, 2), ("http://q", 1), ("http://q", 2), ("http://q", 3))
    ]
    plain = [NO_THRESHOLD_SET.code]
    assert warned == [plain, plain, [*plain, UNSAFE_COPIES.code], plain]


async def test_another_gallery(caller: Caller) -> None:
    await caller.fails(404, "unknown_gallery", "GET", "/v1/status?gallery=nowhere")


async def test_who_called(caller: Caller, device: Device, portraits: dict[str, bytes]) -> None:
    """Where nobody says who they are, their address stands for them; looking at the console's files is no call."""
    await device.fails(1001, "POST", "/recognition_face", data=b"")
    before = (await caller.ask("GET", "/v1/devices", 200))["devices"]
    async with caller.http.get("/") as response:
        assert response.status == 200
    async with caller.http.get("/healthz") as response:
        assert response.status == 200
    [after] = (await caller.ask("GET", "/v1/devices", 200))["devices"]
    assert (after["name"], after["client"]) == (None, "127.0.0.1")
    assert after["requests"] == before[0]["requests"] + 1


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="function")
async def test_keys_are_told_by_name_and_only_to_who_may_see_all(start: Start, settings: Settings) -> None:
    """A key that nobody has counts for its address."""
    settings = replace(settings, model_dir=MODELS, keys=keys_file(settings.data.parent / "keys.toml"), threshold=0.5)
    caller = Caller(await start(settings))
    await caller.fails(403, "operation_denied", "DELETE", "/v1/faces/1", headers=bearing(READER))
    await caller.fails(401, "unknown_key", "GET", "/v1/faces", headers=bearing(NOBODYS))
    await caller.fails(403, "operation_denied", "GET", "/v1/devices", headers=bearing(VISITORS))
    devices = (await caller.ask("GET", "/v1/devices", 200, headers=bearing(CONSOLE)))["devices"]
    assert {each["name"]: [refusal["reason"] for refusal in each["refusals"]] for each in devices} == {
        "key:reader": ["operation_denied"],
        None: ["unknown_key"],
        "key:visitors": ["operation_denied"],
    }
    told = await caller.ask("GET", "/v1/status", 200, headers=bearing(CONSOLE))
    assert told["warnings"] == []
    assert (told["threshold"], told["measured"]) == (0.5, False)


@pytest.mark.parametrize(
    ("threshold", "fpir", "told"), [(0.5, 0.05, True), (-1.0, 0.05, True), (0.5, 0.01, False), ("auto", 0.05, False)]
)
async def test_a_share_of_strangers_that_nothing_uses_is_told(
    settings: Settings, threshold: float, fpir: float, told: bool
) -> None:
    """At the start and on the status page: beside a threshold in numbers it would be passed over in silence."""
    assert (UNUSED_FPIR in warned_of(replace(settings, threshold=threshold, fpir=fpir))) is told
