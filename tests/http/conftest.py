"""What the tests of service/http share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from service.errors import StoreUnavailable
from service.gallery.gallery import Gallery
from service.values import StoredFace


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, down to DEBUG."""
    caplog.set_level(logging.DEBUG)
    return caplog


def break_lists_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every list end with a store that went away, after its last face."""
    whole = Gallery.list

    async def broken(gallery: Gallery, offset: int = 0, limit: int | None = None) -> AsyncIterator[StoredFace]:
        async for face in whole(gallery, offset, limit):
            yield face
        raise StoreUnavailable("The store went away.")

    monkeypatch.setattr(Gallery, "list", broken)
