"""What is asked of photos that are not remembered; tests/http/rest_api/test_photos.py asks it over HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import InvalidRequest
from service.gallery.photos import PhotoReader, Terms
from service.gallery.thresholds import NO_THRESHOLD, VERIFICATION, threshold_for
from service.models.selection import ModelFiles
from service.settings import Settings
from service.stores.store import Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY
from service.vision.engine import Engine
from tests.support.stored_faces import embedding, face, fill

TERMS = Terms(limit=5, group_by_remark=True, gallery=DEFAULT_GALLERY)


async def threshold(reader: PhotoReader, terms: Terms) -> float:
    return (await reader.identify_embedding(embedding(1), terms))[0]


async def test_the_threshold_is_the_requests_or_the_settings_or_the_measured_one(
    engine: Engine, store: Store, files: ModelFiles
) -> None:
    """In this order: so `matched` means something where nobody has set anything."""
    await fill(store, [face(1), face(2)])
    measured = threshold_for(Settings(threshold="auto"), files.contract.model)(2)
    stricter = threshold_for(Settings(threshold="auto", fpir=0.001), files.contract.model)(2)
    by_default = PhotoReader(engine, store, Settings(), files.contract)
    assert await threshold(by_default, TERMS) == measured
    assert await threshold(by_default, replace(TERMS, fpir=0.001)) == stricter
    assert await threshold(by_default, replace(TERMS, threshold=0.1, fpir=0.001)) == 0.1
    fixed = PhotoReader(engine, store, Settings(threshold=0.7), files.contract)
    assert await threshold(fixed, TERMS) == 0.7


async def test_where_nothing_was_measured_the_request_must_say(
    engine: Engine, store: Store, files: ModelFiles, portraits: dict[str, bytes]
) -> None:
    """Of weights of one's own nothing is known: everybody matches, and a verification needs a threshold."""
    reader = PhotoReader(engine, store, Settings(), replace(files.contract, model="of-my-own"))
    assert await threshold(reader, TERMS) == NO_THRESHOLD
    with pytest.raises(InvalidRequest, match="threshold"):
        await reader.identify_embedding(embedding(1), replace(TERMS, fpir=0.01))
    photo = portraits["obama"]
    with pytest.raises(InvalidRequest, match="threshold"):
        await reader.verify_photo(photo, photo, None, Timings())
    verified = await reader.verify_photo(photo, photo, 0.5, Timings())
    assert verified.similarity == pytest.approx(1)
    assert verified.threshold == 0.5


async def test_an_empty_gallery_has_a_threshold_too(
    engine: Engine, store: Store, files: ModelFiles, portraits: dict[str, bytes]
) -> None:
    """And nobody to match."""
    reader = PhotoReader(engine, store, Settings(), files.contract)
    found = await reader.identify(portraits["obama"], TERMS, Timings())
    assert [each.candidates for each in found.faces] == [[]]
    assert found.threshold == threshold_for(Settings(threshold="auto"), files.contract.model)(0)
    assert reader.verification_threshold == VERIFICATION[files.contract.model]
