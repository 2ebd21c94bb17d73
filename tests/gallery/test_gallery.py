"""The gallery's own rules, with the real engine and the real store."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from service.errors import (
    FaceBlurred,
    FaceDark,
    FaceNotFound,
    FaceUncertain,
    InvalidImage,
    InvalidRequest,
    MultipleFaces,
    TooSmall,
    UnknownFace,
)
from service.gallery.choices import largest
from service.gallery.enrollment import derive_face_id
from service.gallery.gallery import Gallery
from service.gallery.rules import Rules
from service.stores.store import Added, Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY, FaceChanges, StoredFace
from service.vision.engine import Engine
from tests.support.device import jpeg, picture
from tests.support.stored_faces import face, fill

RULES = Rules(
    choose=largest(0.9),
    min_score=0.9,
    quality="standard",
    score="cohort",
    threshold_for=lambda _: -1.0,
    picture_side=480,
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def least_score(score: float, _: int) -> float:
    return score


def with_metadata(metadata: Mapping[str, Any], face: StoredFace) -> FaceChanges:
    return FaceChanges(remark=face.remark, metadata=metadata, expires_at=face.expires_at)


@pytest.fixture
def gallery(engine: Engine, store: Store) -> Gallery:
    """By its clock, every registration is a second after the one before."""
    ticks = count()
    return Gallery(engine, store, RULES, clock=lambda: START + timedelta(seconds=next(ticks)))


def blurred(photo: bytes) -> bytes:
    """Out of focus, so that a face is still found."""
    with Image.open(io.BytesIO(photo)) as sharp:
        return jpeg(sharp.filter(ImageFilter.GaussianBlur(5)))


async def stored(gallery: Gallery) -> list[StoredFace]:
    return [face async for face in gallery.list()]


class TestEnroll:
    @pytest.mark.slow
    async def test_what_is_kept(self, gallery: Gallery, portraits: dict[str, bytes]) -> None:
        """Everything that the face was registered with, in the photo's own coordinates."""
        number = await gallery.enroll(portraits["obama"], "test", Timings(), device_id="gate-1")
        (face,) = await stored(gallery)
        digest = hashlib.sha256(portraits["obama"]).hexdigest()
        assert (face.face_id, face.remark, face.sha256, face.device_id) == (number, "test", digest, "gate-1")
        assert number == derive_face_id(digest, remark="test", bits=31)
        assert face.registered_at == START
        assert 0.9 <= face.detection_score <= 1
        width, height = picture(face.picture).size
        assert 0 <= face.box.left < face.box.right <= width
        assert 0 <= face.box.top < face.box.bottom <= height
        assert all(face.box.left < x < face.box.right for x, _ in face.landmarks)
        assert all(face.box.top < y < face.box.bottom for _, y in face.landmarks)

    @pytest.mark.slow
    async def test_again_changes_nothing(self, gallery: Gallery, portraits: dict[str, bytes]) -> None:
        """Not even the time; the number is the same."""
        first = await gallery.enroll(portraits["obama"], "test", Timings())
        before = await stored(gallery)
        assert await gallery.enroll(portraits["obama"], "test", Timings()) == first
        assert await stored(gallery) == before

    @pytest.mark.slow
    async def test_a_number_that_is_taken_is_passed_over(
        self, gallery: Gallery, store: Store, portraits: dict[str, bytes]
    ) -> None:
        """Two registrations that meet on one number both stay, and each meets itself again."""
        number = await gallery.enroll(portraits["biden"], "somebody", Timings())
        (somebody,) = await stored(gallery)
        await store.remove(number, gallery=DEFAULT_GALLERY)
        digest = hashlib.sha256(portraits["obama"]).hexdigest()
        vector = np.zeros(512, dtype=np.float32)
        vector[0] = 1
        for attempt in (0, 1):
            squatter = replace(somebody, face_id=derive_face_id(digest, remark="test", attempt=attempt, bits=31))
            assert await store.add(squatter, vector) is Added.NEW
        third = derive_face_id(digest, remark="test", attempt=2, bits=31)
        for _ in range(2):
            assert await gallery.enroll(portraits["obama"], "test", Timings()) == third
        assert await store.count() == 3

    @pytest.mark.slow
    async def test_what_is_no_usable_face_is_not_kept(
        self, engine: Engine, store: Store, photos: Path, portraits: dict[str, bytes]
    ) -> None:
        """No photo, no face in it, or none that the detector is sure enough of."""
        strict = Gallery(engine, store, replace(RULES, choose=largest(1.1)), clock=lambda: START)
        with pytest.raises(FaceUncertain):
            await strict.enroll(portraits["obama"], "test", Timings())
        with pytest.raises(FaceNotFound):
            await strict.identify((photos / "coffee.png").read_bytes(), 5, Timings())
        with pytest.raises(InvalidImage):
            await strict.enroll(b"no photo", "test", Timings())
        assert await store.count() == 0


class TestIdentify:
    @pytest.mark.slow
    async def test_the_threshold_is_the_least_score(
        self, engine: Engine, store: Store, gallery: Gallery, portraits: dict[str, bytes]
    ) -> None:
        """A match exactly at it counts, one a hair below doesn't."""
        for name in ("obama", "obama2", "biden"):
            await gallery.enroll(portraits[name], name, Timings())
        matches = await gallery.identify(portraits["obama"], 5, Timings())
        assert [match.face.remark for match in matches] == ["obama", "obama2", "biden"]
        assert matches[0].similarity == pytest.approx(1, abs=1e-3)
        for kept in (1, 2, 3):
            rules = replace(RULES, threshold_for=partial(least_score, matches[kept - 1].score))
            found = await Gallery(engine, store, rules, lambda: START).identify(portraits["obama"], 5, Timings())
            assert found == matches[:kept]

    async def test_a_photo_without_room_for_a_face_is_too_small(self, gallery: Gallery) -> None:
        """It says so, and how large it has to be; in numbers that the engine goes by."""
        for size in ((19, 200), (200, 19)):
            with pytest.raises(TooSmall, match="under 20 pixels"):
                await gallery.identify(jpeg(Image.new("RGB", size)), 5, Timings())
        with pytest.raises(FaceNotFound, match="No face was found"):
            await gallery.identify(jpeg(Image.new("RGB", (20, 20), "grey")), 5, Timings())

    @pytest.mark.slow
    async def test_the_limit(self, gallery: Gallery, portraits: dict[str, bytes]) -> None:
        for name in ("obama", "biden"):
            await gallery.enroll(portraits[name], name, Timings())
        assert [len(await gallery.identify(portraits["obama"], limit, Timings())) for limit in (1, 2, 3)] == [1, 2, 2]


class TestQuality:
    """FACE_QUALITY through the whole gallery; tests/vision/test_quality.py has what is refused why."""

    @pytest.mark.slow
    async def test_a_smear_is_neither_kept_nor_recognised(
        self, engine: Engine, store: Store, gallery: Gallery, portraits: dict[str, bytes]
    ) -> None:
        """Unless the quality is off."""
        smear = blurred(portraits["obama"])
        with pytest.raises(FaceBlurred):
            await gallery.enroll(smear, "test", Timings())
        with pytest.raises(FaceBlurred):
            await gallery.identify(smear, 5, Timings())
        assert await store.count() == 0
        careless = Gallery(engine, store, replace(RULES, quality="off"), lambda: START)
        await careless.enroll(smear, "test", Timings())
        assert [match.face.remark for match in await careless.identify(smear, 5, Timings())] == ["test"]

    @pytest.mark.slow
    async def test_strict_wants_one_person_a_photo(
        self, engine: Engine, store: Store, gallery: Gallery, portraits: dict[str, bytes]
    ) -> None:
        """Who else is in the photo could be meant; recognition, and other levels, take the larger."""
        pair = Image.new("RGB", (480, 300))
        for name, left in (("obama", 0), ("biden", 240)):
            pair.paste(Image.open(io.BytesIO(portraits[name])), (left, 0))
        strict = Gallery(engine, store, replace(RULES, quality="strict"), lambda: START)
        with pytest.raises(MultipleFaces, match="shows 2 faces"):
            await strict.enroll(jpeg(pair), "test", Timings())
        await gallery.enroll(jpeg(pair), "test", Timings())
        assert len(await strict.identify(jpeg(pair), 5, Timings())) == 1

    @pytest.mark.slow
    async def test_real_poor_photos(self, gallery: Gallery, shared: Path) -> None:
        """Refused for what they are, also where it is too dark to find the face at all."""
        for name, error in (("blurred", FaceBlurred), ("dark", FaceDark)):
            for path in sorted((shared / "cases" / "photos").glob(f"{name}_*.jpg")):
                with pytest.raises(error):
                    await gallery.enroll(path.read_bytes(), "test", Timings())
                with pytest.raises(error):
                    await gallery.identify(path.read_bytes(), 5, Timings())

    async def test_a_photo_without_light(self, gallery: Gallery) -> None:
        with pytest.raises(FaceDark, match="too dark to find a face"):
            await gallery.enroll(jpeg(Image.new("RGB", (100, 100))), "test", Timings())


class TestExpiry:
    @pytest.mark.slow
    async def test_a_face_whose_time_is_up_counts_as_gone(
        self, engine: Engine, store: Store, portraits: dict[str, bytes]
    ) -> None:
        """To the microsecond, though it is still in the store."""
        now = START
        gallery = Gallery(engine, store, RULES, clock=lambda: now)
        end = START + timedelta(hours=1)
        for name, expires_at in (("obama", end), ("obama2", None)):
            await gallery.enroll_faces(
                portraits[name], name, Timings(), faces=None, quality=None, expires_at=expires_at
            )

        async def seen() -> tuple[list[str], ...]:
            page, _ = await gallery.page(10, after=None, remark=None)
            matches = await gallery.identify(portraits["obama"], 5, Timings())
            return (
                [face.remark for face in await stored(gallery)],
                [face.remark for face in page],
                [match.face.remark for match in matches],
            )

        now = end - timedelta(microseconds=1)
        assert await seen() == (["obama", "obama2"],) * 3
        now = end
        assert await seen() == (["obama2"],) * 3
        assert await store.count() == 2
        with pytest.raises(InvalidRequest, match="still to come"):
            await gallery.enroll_faces(portraits["obama"], "x", Timings(), faces=None, quality=None, expires_at=now)


class TestChange:
    async def test_a_renamed_person_stays_renamed_while_faces_are_changed(self, gallery: Gallery, store: Store) -> None:
        """Each change is made to the face as it is then, so that none undoes another."""
        await fill(store, [face(1, remark="name 0")])

        async def rename() -> None:
            for number in range(8):
                renamed = await gallery.people.rename(f"name {number}", f"name {number + 1}", merge=False)
                assert renamed.remark == f"name {number + 1}"

        async def change() -> None:
            for number in range(16):
                await gallery.change(1, partial(with_metadata, {"number": number}))

        await asyncio.gather(rename(), change())
        kept = await gallery.face(1)
        assert (kept.remark, kept.metadata) == ("name 8", {"number": 15})


class TestRemove:
    @pytest.mark.slow
    async def test_is_for_good(self, gallery: Gallery, portraits: dict[str, bytes]) -> None:
        number = await gallery.enroll(portraits["obama"], "test", Timings())
        await gallery.remove(number, Timings())
        assert await stored(gallery) == []
        assert await gallery.identify(portraits["obama"], 5, Timings()) == []

    async def test_an_unknown_face(self, gallery: Gallery) -> None:
        with pytest.raises(UnknownFace, match="There is no face 7;"):
            await gallery.remove(7, Timings())


@pytest.mark.slow
async def test_stages_are_measured(gallery: Gallery, portraits: dict[str, bytes]) -> None:
    """In milliseconds, in the order in which they happen."""
    timings = Timings()
    await gallery.enroll(portraits["obama"], "test", timings)
    assert list(timings) == ["decode", "detect", "crop", "picture", "embed", "store"]
    await gallery.identify(portraits["obama"], 5, timings)
    assert list(timings)[-1] == "search"
    assert all(0 < took < 60_000 for took in timings.values())
