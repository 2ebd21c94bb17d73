"""Whether the service says that it can work exactly when it can."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.http import health
from service.http.keys import CURRENT
from service.settings import Settings
from service.vision.engine import Engine
from tests.conftest import Start
from tests.support.device import Client, Device, form
from tests.support.processes import gallery_process, kill_gallery_process

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def probed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No success counts for the next question, and a probe that hangs is given up soon."""
    monkeypatch.setattr(health, "LATELY_S", 0.0)
    monkeypatch.setattr(health, "TIMEOUT_S", 2.0)


async def status(client: Client, path: str) -> tuple[int, dict[str, str]]:
    async with client.get(path) as response:
        return response.status, await response.json()


@pytest.mark.slow
@pytest.mark.usefixtures("probed_each_time")
async def test_a_gallery_that_hangs_is_not_ready(service: Client, service_settings: Settings) -> None:
    """It is alive though, and ready again as soon as the gallery answers."""
    process = gallery_process(service_settings.data)
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        code, answer = await status(service, "/readyz")
        assert (code, answer["status"]) == (503, "not ready")
        assert "2 s" in answer["detail"]
        assert await status(service, "/healthz") == (200, {"status": "alive"})
    finally:
        os.kill(process, signal.SIGCONT)
    code, answer = await status(service, "/readyz")
    assert (code, answer["status"]) == (200, "ready")


@pytest.mark.slow
@pytest.mark.usefixtures("probed_each_time")
async def test_a_gallery_that_is_gone_is_not_ready(
    service: Client, device: Device, service_settings: Settings, portraits: dict[str, bytes]
) -> None:
    """The reason is told; each device operation fails by its own code; once it is mended, all goes on by itself."""
    await device.register(portraits["obama"], "test")
    contract = service_settings.data / "gallery" / "contract.json"
    whole = contract.read_text()
    contract.write_text("damaged")
    kill_gallery_process(service_settings.data)
    code, answer = await status(service, "/readyz")
    assert code == 503
    assert "gallery" in answer["detail"] or "contract.json" in answer["detail"]
    for expected, method, path in (
        (1004, "POST", "/registration_face?remark=x"),
        (1005, "POST", "/recognition_face"),
        (1004, "GET", "/get_registration_face"),
        (1004, "DELETE", "/delete_registration_face?face_id=1"),
    ):
        assert await device.fails(expected, method, path, data=form(portraits["obama"]) if method == "POST" else None)
    contract.write_text(whole)
    async with asyncio.timeout(20):
        while (await status(service, "/readyz"))[0] != 200:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.1)
    assert await device.remarks() == ["test"]


@pytest.mark.usefixtures("probed_each_time")
async def test_models_that_fail_are_not_ready(service: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they raise: an envelope with HTTP 200 would look ready. Its words stay in the log."""

    async def fail(*_: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(Engine, "observe", fail)
    code, answer = await status(service, "/readyz")
    assert code == 503
    assert "the inside" not in answer["detail"]


@pytest.mark.slow
async def test_a_success_counts_for_a_while(service: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked, the models work for it once in LATELY_S."""
    for moment in ("_succeeded_at", "_failed_at"):
        monkeypatch.setattr(service.app[CURRENT].opened.health, moment, float("-inf"))
    probes = 0
    probe = health.Health.probe

    async def counted(self: health.Health) -> None:
        nonlocal probes
        probes += 1
        await probe(self)

    monkeypatch.setattr(health.Health, "probe", counted)
    answers = await asyncio.gather(*(status(service, "/readyz") for _ in range(20)))
    assert {code for code, _ in answers} == {200}
    assert probes == 1


@pytest.mark.slow
async def test_many_who_ask_wait_for_one_probe(
    service: Client, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the gallery hangs, each of them is told within the limit of one probe."""
    for moment in ("_succeeded_at", "_failed_at"):
        monkeypatch.setattr(service.app[CURRENT].opened.health, moment, float("-inf"))
    process = gallery_process(service_settings.data)
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        answers = await asyncio.gather(*(status(service, "/readyz") for _ in range(20)))
        assert time.monotonic() - begin < health.TIMEOUT_S + 1
        assert {code for code, _ in answers} == {503}
    finally:
        os.kill(process, signal.SIGCONT)
    async with asyncio.timeout(20):
        while (await status(service, "/readyz"))[0] != 200:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.1)


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.slow
async def test_models_that_fail_as_they_are_warmed_are_noticed_at_once(
    start: Start, service_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness and the log say so; without a request, and without waiting for the stop."""

    async def fail(_: Engine) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(Engine, "warm", fail)
    client = await start(replace(service_settings, data=tmp_path))
    code, answer = await status(client, "/readyz")
    assert code == 503
    assert "warmed" in answer["detail"]
    assert "the inside" not in answer["detail"]
