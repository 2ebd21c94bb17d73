"""The gallery's own rules, with the real engine and the real store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.errors import FaceNotFound, InvalidImage, MultipleFaces, TooSmall, UnknownFace
from service.gallery.choices import every, largest, single
from service.gallery.enrollment import derive_face_id
from service.gallery.gallery import Gallery, Rules
from service.models.selection import ModelFiles
from service.stores.edge.store import EdgeStore
from service.stores.store import Added, Store
from service.timings import Timings
from service.values import Box, Detection, StoredFace
from service.vision.engine import Engine
from tests.support.device import jpeg, picture

RULES = Rules(min_score=0.9, threshold=-1.0, picture_side=480)
START = datetime(2026, 1, 1, tzinfo=UTC)
KNOWN = 2_175_172_091_928_275
"""The number of the photo b"photo" with the remark "test"."""


@pytest.fixture
async def store(tmp_path: Path, files: ModelFiles) -> AsyncIterator[Store]:
    store = EdgeStore(tmp_path / "gallery")
    await store.open()
    await store.bind(files.contract)
    yield store
    await store.close()


@pytest.fixture
def gallery(engine: Engine, store: Store) -> Gallery:
    """By its clock, every registration is a second after the one before."""
    ticks = count()
    return Gallery(engine, store, RULES, clock=lambda: START + timedelta(seconds=next(ticks)))


async def stored(gallery: Gallery) -> list[StoredFace]:
    return [face async for face in gallery.list()]


class TestDeriveFaceId:
    def test_is_a_function_of_photo_remark_and_attempt(self) -> None:
        """The same today and after any restart; numbers that galleries hold must not change with the code."""
        digest = hashlib.sha256(b"photo").hexdigest()
        assert derive_face_id(digest, remark="test") == derive_face_id(digest, remark="test", attempt=0) == KNOWN
        others = {
            derive_face_id(digest, remark="test", attempt=1),
            derive_face_id(digest, remark="test "),
            derive_face_id(digest, remark=""),
            derive_face_id(hashlib.sha256(b"another").hexdigest(), remark="test"),
        }
        assert len(others | {KNOWN}) == 5

    def test_a_remark_cannot_imitate_an_attempt(self) -> None:
        """Whatever separators a remark holds, it is not another registration's text."""
        digest = "0" * 64
        assert derive_face_id(digest, remark="\n1\nx") != derive_face_id(digest, remark="x", attempt=1)
        assert derive_face_id(digest, remark="1\nx", attempt=1) != derive_face_id(digest, remark="x", attempt=11)

    def test_further_faces_of_a_photo_have_numbers_of_their_own(self) -> None:
        """The first has the one that it always had."""
        digest = hashlib.sha256(b"photo").hexdigest()
        assert derive_face_id(digest, remark="test", attempt=0, nth=0) == KNOWN
        attempts = product(range(3), range(3))
        numbers = {derive_face_id(digest, remark="test", attempt=attempt, nth=nth) for attempt, nth in attempts}
        assert len(numbers) == 9

    def test_is_from_one_to_two_to_the_53rd_less_one(self) -> None:
        """All of that range, evenly: of 10,000 numbers none is twice, and their mean is the middle."""
        numbers = [
            derive_face_id(f"{number:064x}", remark="😀\ud800" if number % 2 else "") for number in range(10_000)
        ]
        assert len(set(numbers)) == 10_000
        assert min(numbers) >= 1
        assert max(numbers) < 2**53
        assert np.mean(numbers) / 2**53 == pytest.approx(0.5, abs=0.02)


class TestEnroll:
    @pytest.mark.slow
    async def test_what_is_kept(self, gallery: Gallery, portraits: dict[str, bytes]) -> None:
        """Everything that the face was registered with, in the photo's own coordinates."""
        number = await gallery.enroll(portraits["obama"], "test", Timings(), device_id="gate-1")
        (face,) = await stored(gallery)
        digest = hashlib.sha256(portraits["obama"]).hexdigest()
        assert (face.face_id, face.remark, face.sha256, face.device_id) == (number, "test", digest, "gate-1")
        assert number == derive_face_id(digest, remark="test")
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
        await store.remove(number)
        digest = hashlib.sha256(portraits["obama"]).hexdigest()
        vector = np.zeros(512, dtype=np.float32)
        vector[0] = 1
        for attempt in (0, 1):
            squatter = replace(somebody, face_id=derive_face_id(digest, remark="test", attempt=attempt))
            assert await store.add(squatter, vector) is Added.NEW
        third = derive_face_id(digest, remark="test", attempt=2)
        for _ in range(2):
            assert await gallery.enroll(portraits["obama"], "test", Timings()) == third
        assert await store.count() == 3

    @pytest.mark.slow
    async def test_what_is_no_usable_face_is_not_kept(
        self, engine: Engine, store: Store, photos: Path, portraits: dict[str, bytes]
    ) -> None:
        """No photo, no face in it, or none that the detector is sure enough of."""
        strict = Gallery(engine, store, replace(RULES, min_score=1.1), clock=lambda: START)
        with pytest.raises(FaceNotFound):
            await strict.enroll(portraits["obama"], "test", Timings())
        with pytest.raises(FaceNotFound):
            await strict.identify((photos / "coffee.png").read_bytes(), 5, Timings())
        with pytest.raises(InvalidImage):
            await strict.enroll(b"no photo", "test", Timings())
        assert await store.count() == 0


class TestChoice:
    """Which of a photo's faces are wanted, given as the detector does: the largest first."""

    SURE, UNSURE = (Detection(Box(0, 0, 9, 9), ((0.0, 0.0),) * 5, score) for score in (0.95, 0.85))

    def test_only_faces_that_the_detector_is_sure_of_count(self) -> None:
        found = [self.UNSURE, self.SURE, self.UNSURE]
        assert largest(0.9)(found) == every(0.9)(found) == single(0.9)(found) == [self.SURE]
        assert largest(0.9)([]) == every(0.9)([]) == single(0.9)([]) == []

    def test_of_several_the_first_all_or_none(self) -> None:
        found = [self.SURE, self.SURE]
        assert largest(0.9)(found) == [self.SURE]
        assert every(0.9)(found) == found
        with pytest.raises(MultipleFaces, match="shows 2 faces"):
            single(0.9)(found)


class TestIdentify:
    @pytest.mark.slow
    async def test_the_threshold_is_the_least_similarity(
        self, engine: Engine, store: Store, gallery: Gallery, portraits: dict[str, bytes]
    ) -> None:
        """A match exactly at it counts, one a hair below doesn't."""
        for name in ("obama", "obama2", "biden"):
            await gallery.enroll(portraits[name], name, Timings())
        matches = await gallery.identify(portraits["obama"], 5, Timings())
        assert [match.face.remark for match in matches] == ["obama", "obama2", "biden"]
        assert matches[0].similarity == pytest.approx(1, abs=1e-3)
        for kept in (1, 2, 3):
            rules = replace(RULES, threshold=matches[kept - 1].similarity)
            found = await Gallery(engine, store, rules, lambda: START).identify(portraits["obama"], 5, Timings())
            assert found == matches[:kept]

    async def test_a_photo_without_room_for_a_face_is_too_small(self, gallery: Gallery) -> None:
        """It says so, and how large it has to be; in numbers that the engine goes by."""
        for size in ((19, 200), (200, 19)):
            with pytest.raises(TooSmall, match="under 20 pixels"):
                await gallery.identify(jpeg(Image.new("RGB", size)), 5, Timings())
        with pytest.raises(FaceNotFound, match="No usable face"):
            await gallery.identify(jpeg(Image.new("RGB", (20, 20))), 5, Timings())

    @pytest.mark.slow
    async def test_the_limit(self, gallery: Gallery, portraits: dict[str, bytes]) -> None:
        for name in ("obama", "biden"):
            await gallery.enroll(portraits[name], name, Timings())
        assert [len(await gallery.identify(portraits["obama"], limit, Timings())) for limit in (1, 2, 3)] == [1, 2, 2]


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
