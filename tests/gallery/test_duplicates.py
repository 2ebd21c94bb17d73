"""Already here: a face that is known under another remark is not registered where that is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.errors import AlreadyRegistered, InvalidSettings
from service.gallery.duplicates import duplicate_check
from service.gallery.gallery import Gallery
from service.gallery.rules import Rules
from service.gallery.thresholds import duplicate_threshold_for, measured
from service.settings import Settings
from service.stores.store import Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY
from service.vision.engine import Engine

REFUSING = Settings(duplicate="refuse", model="casia-webface")


@pytest.fixture
def gallery(engine: Engine, store: Store) -> Gallery:
    check = duplicate_check(REFUSING, "casia-webface", store, DEFAULT_GALLERY)
    rules = Rules.of(REFUSING, "casia-webface")
    return Gallery(engine, store, rules, lambda: datetime(2026, 1, 1, tzinfo=UTC), check)


@pytest.mark.slow
async def test_another_remark_is_refused(gallery: Gallery, store: Store, portraits: dict[str, bytes]) -> None:
    """For the same photo and for another one of the same person; nothing is stored."""
    await gallery.enroll(portraits["obama"], "Zoë", Timings())
    for photo in ("obama", "obama2"):
        with pytest.raises(AlreadyRegistered, match="under another remark") as refusal:
            await gallery.enroll(portraits[photo], "second", Timings())
        assert "Zoë" not in str(refusal.value)  # whose it is isn't for every device to know
    assert await store.count() == 1


@pytest.mark.slow
async def test_the_same_remark_and_other_people_are_welcome(
    gallery: Gallery, store: Store, portraits: dict[str, bytes]
) -> None:
    """More photos of a person make it easier to recognise; the same photo again changes nothing."""
    for photo, remark in (("obama", "a"), ("obama2", "a"), ("obama", "a"), ("biden", "b"), ("astronaut", "c")):
        await gallery.enroll(portraits[photo], remark, Timings())
    assert await store.count() == 4


@pytest.mark.slow
async def test_two_remarks_at_the_same_moment(gallery: Gallery, store: Store, portraits: dict[str, bytes]) -> None:
    """One of them comes first."""
    tries = (gallery.enroll(portraits["obama"], f"remark {number}", Timings()) for number in range(8))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(each) for each in answers if not isinstance(each, int)] == [AlreadyRegistered] * 7
    assert await store.count() == 1


class TestThreshold:
    def test_nobody_is_compared_where_duplicates_are_allowed(self, store: Store) -> None:
        assert duplicate_check(Settings(), "custom", store, DEFAULT_GALLERY) is None

    def test_it_is_that_of_a_recognition(self) -> None:
        threshold = duplicate_threshold_for(replace(REFUSING, threshold=0.7), "custom")
        assert threshold(100) == 0.7

    def test_without_one_it_is_the_measured_one(self) -> None:
        threshold = duplicate_threshold_for(REFUSING, "vggface2")
        assert threshold(40) == pytest.approx(measured("vggface2", 0.01)[-1])

    @pytest.mark.parametrize("settings", [REFUSING, replace(REFUSING, score="cosine")])
    def test_there_must_be_one(self, settings: Settings) -> None:
        with pytest.raises(InvalidSettings, match=r"^FACE_DUPLICATE=refuse without a threshold .*FACE_THRESHOLD"):
            duplicate_threshold_for(settings, "custom")
