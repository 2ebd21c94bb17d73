"""What the tests of service/http share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from service.errors import StoreUnavailable
from service.gallery.gallery import Gallery
from service.settings import Settings
from service.values import StoredFace
from tests.conftest import MODELS, running
from tests.support.device import Client, Device


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog


def break_lists_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every list end with a store that went away, after its last face, and be too long to be sent at once."""
    whole = Gallery.list

    async def broken(
        gallery: Gallery, offset: int = 0, limit: int | None = None, **_: Any
    ) -> AsyncIterator[StoredFace]:
        async for face in whole(gallery, offset, limit):
            yield replace(face, picture=face.picture * 10)
        raise StoreUnavailable("The store went away.")

    monkeypatch.setattr(Gallery, "list", broken)


@pytest.fixture(scope="module")
def strict_settings(tmp_path_factory: pytest.TempPathFactory, portraits: dict[str, bytes]) -> Settings:
    """Each setting of the contract other than by default; the portraits are the largest photos that it allows."""
    return Settings(
        data=tmp_path_factory.mktemp("strict"),
        model_dir=MODELS,
        model="casia-webface",
        picture_side=100,
        threshold=0.6,
        delete_by_get=False,
        max_bytes=max(map(len, portraits.values())),
        max_pixels=240 * 240,
        max_queue=2,
    )


@pytest_asyncio.fixture(loop_scope="module")
async def strict(strict_service: Client) -> Device:
    """A device of a service with `strict_settings`, whose gallery is empty."""
    device = Device(strict_service)
    await device.delete_all()
    return device


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_service(strict_settings: Settings) -> AsyncIterator[Client]:
    async with running(strict_settings) as client:
        yield client
