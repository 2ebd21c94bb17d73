"""What machines that watch over the service ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.device import Client, Device

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status(client: Client, path: str) -> tuple[int, dict[str, Any]]:
    async with client.get(path) as response:
        return response.status, await response.json()


async def test_alive(service: Client) -> None:
    assert await status(service, "/healthz") == (200, {"status": "alive"})


@pytest.mark.slow
async def test_ready(service: Client) -> None:
    """Also with an empty gallery; the operator reads that without a threshold nobody is unknown."""
    code, answer = await status(service, "/readyz")
    assert (code, answer["status"]) == (200, "ready")
    [warning] = answer["warnings"]
    assert "set FACE_THRESHOLD=auto" in warning


@pytest.mark.slow
async def test_nothing_to_warn_of(strict_service: Client) -> None:
    assert await status(strict_service, "/readyz") == (200, {"status": "ready", "warnings": []})


@pytest.mark.slow
async def test_other_methods(service: Client) -> None:
    """They are no paths of this service."""
    for path in ("/healthz", "/readyz", "/metrics"):
        await Device(service).fails(1000, "POST", path)
