"""Who is let in, by the settings alone: what would do nothing is refused, and an open door is told of at the start."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from service.errors import InvalidSettings
from service.http.admission import check_admission
from service.http.app import create_app
from service.settings import Settings

WARNING = "Everybody who reaches "


@pytest.mark.parametrize("keys", [None, Path("keys.toml")])
@pytest.mark.parametrize(("field", "value"), [("device_rate", 60), ("nonces_url", "redis://:hush@h")])
def test_a_limit_for_devices_without_devices_is_a_mistake(keys: Path | None, field: str, value: Any) -> None:
    """Whoever sets it believes that it holds."""
    changes: dict[str, Any] = {field: value, "keys": keys}
    with pytest.raises(
        InvalidSettings, match=rf"^FACE_{field.upper()} is for signed devices; set FACE_DEVICES"
    ) as told:
        create_app(Settings(**changes))
    assert "hush" not in str(told.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "face.example", ""])
def test_an_open_door_is_told_of(host: str, caplog: pytest.LogCaptureFixture) -> None:
    check_admission(Settings(host=host))
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    assert caplog.text.count(WARNING) == 1


@pytest.mark.parametrize(
    "changes",
    [
        *({"host": host} for host in ("127.0.0.1", "127.0.0.53", "::1", "localhost", "LOCALHOST")),
        *({name: Path("file.toml")} for name in ("devices", "keys")),
        {"devices": Path("file.toml"), "device_rate": 60, "nonces_url": "redis://h"},
    ],
)
def test_a_door_that_is_not_open_is_not(changes: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Nobody from elsewhere reaches it, or everybody is asked who they are."""
    check_admission(Settings(**changes))
    assert not caplog.records
