"""A gallery is opened with the model of its faces; without a gallery none is made unasked."""

from __future__ import annotations

import pytest

from service.gallery.opening import open_existing, open_gallery
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.opening import open_store


@pytest.mark.slow
async def test_a_new_gallery_is_made_for_the_model_of_the_settings(settings: Settings, files: ModelFiles) -> None:
    """And has that contract whenever it is opened again."""
    store = open_store(settings)
    try:
        assert await open_gallery(settings, store) == files
    finally:
        await store.close()
    async with open_existing(settings) as (store, contract):
        assert contract == files.contract
        assert await store.count() == 0


@pytest.mark.slow
async def test_no_gallery_is_made_where_none_is_asked_for(settings: Settings, files: ModelFiles) -> None:
    """The model is that of the settings all the same."""
    store = open_store(settings)
    try:
        assert await open_gallery(settings, store, create=False) == files
    finally:
        await store.close()
    async with open_existing(settings) as (_, contract):
        assert contract is None
