"""Rotating a device's secret: the one in use stays, unless somebody says that it may go."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from service.devices.registry import read_devices
from service.devices.secret_uses import FILE, UseFile, mark_of
from service.settings import Settings
from tests.conftest import Start
from tests.support.processes import ROOT
from tests.support.signing import code, devices_file, signed

OLD, NEW = "o" * 32, "n" * 32

pytestmark = [pytest.mark.process, pytest.mark.slow]


class Rotated:
    """A device with two secrets, and what the service knows of their use."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.path = devices_file(folder / "devices.toml", f'[door-7]\nsecrets = ["{NEW}", "{OLD}"]\n')

    def use(self, secret: str, seconds: float) -> None:
        UseFile(self.data / FILE).write({"door-7": {mark_of("door-7", secret): 1_764_000_000 + seconds}})

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FACE_")}
        environ |= {"FACE_DEVICES": str(self.path), "FACE_DATA": str(self.data)}
        line = [sys.executable, "-m", "service", "devices", *words]
        return subprocess.run(line, check=False, cwd=ROOT, env=environ, capture_output=True, text=True)

    @property
    def secrets(self) -> list[str]:
        return list(read_devices(self.path)["door-7"].secrets)


@pytest.fixture
def device(tmp_path: Path) -> Rotated:
    return Rotated(tmp_path)


@pytest.mark.parametrize(("last", "kept"), [(NEW, NEW), (OLD, OLD)])
def test_the_secret_that_was_used_last_stays(device: Rotated, last: str, kept: str) -> None:
    """Also where it is the older one: then the newer one never reached the device."""
    device.use(OLD, 0)
    if last == NEW:
        device.use(NEW, 60)
    done = device.command("rotate", "door-7")
    assert done.returncode == 0, done.stderr
    assert device.secrets == [done.stdout.strip(), kept]
    newer = "at 2025-11-24 16:01:00 UTC" if last == NEW else "at no known time"
    assert f"The newer secret was used last {newer}, the older one at 2025-11-24 16:00:00 UTC." in done.stderr


def test_where_nobody_knows_none_is_dropped(device: Rotated) -> None:
    """Unless that is said."""
    refused = device.command("rotate", "door-7")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Nobody knows which of its two secrets door-7 uses; " in refused.stderr
    assert device.secrets == [NEW, OLD]
    done = device.command("rotate", "--anyway", "door-7")
    assert device.secrets == [done.stdout.strip(), NEW]


def test_finishing_keeps_the_secret_in_use(device: Rotated) -> None:
    """A device that signed last with the older one would be locked out."""
    device.use(NEW, 0)
    device.use(OLD, 1)
    refused = device.command("rotate", "--finish", "door-7")
    assert refused.returncode == 1
    assert "door-7 signed last with its older secret; " in refused.stderr
    assert device.secrets == [NEW, OLD]
    device.use(NEW, 2)
    assert device.command("rotate", "--finish", "door-7").returncode == 0
    assert device.secrets == [NEW]


def test_finishing_anyway(device: Rotated) -> None:
    """As for a secret that has leaked."""
    device.use(OLD, 0)
    assert device.command("rotate", "--finish", "--anyway", "door-7").returncode == 0
    assert device.secrets == [NEW]


def test_a_list_says_when_each_was_used(device: Rotated) -> None:
    device.use(NEW, 0)
    assert device.command("list").stdout.splitlines()[1].strip() == (
        "the newer secret was used last at 2025-11-24 16:00:00 UTC, the older one at no known time"
    )


@pytest.mark.slow
async def test_a_running_service_remembers(start: Start, settings: Settings, device: Rotated) -> None:
    """Which secret a device signed with, as it is let in and not before."""
    service = await start(replace(settings, devices=device.path, data=device.data))
    assert service.port is not None
    forged = signed("GET", "/get_registration_face", secret=OLD).having("X-Signature", "0" * 64)
    assert await code(service.port, forged) == 1002
    assert await code(service.port, signed("GET", "/get_registration_face", secret=NEW)) == 0
    record = UseFile(device.data / FILE)
    async with asyncio.timeout(20):
        while record.last_used("door-7", NEW) is None:  # noqa: ASYNC110 - another task writes it
            await asyncio.sleep(0.1)
    assert record.last_used("door-7", OLD) is None
    assert re.search(r"used last at \d{4}-", (await asyncio.to_thread(device.command, "list")).stdout)
