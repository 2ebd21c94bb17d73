"""What machines that watch over the service ask."""

from __future__ import annotations

import pytest

from tests.support.device import Client, Device

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status(client: Client, path: str) -> tuple[int, dict[str, str]]:
    async with client.get(path) as response:
        return response.status, await response.json()


async def test_alive(service: Client) -> None:
    assert await status(service, "/healthz") == (200, {"status": "alive"})


@pytest.mark.slow
async def test_ready(service: Client) -> None:
    """Also with an empty gallery."""
    assert await status(service, "/readyz") == (200, {"status": "ready"})


async def test_other_methods(service: Client) -> None:
    """They are no paths of this service."""
    for path in ("/healthz", "/readyz", "/metrics"):
        await Device(service).fails(1000, "POST", path)
