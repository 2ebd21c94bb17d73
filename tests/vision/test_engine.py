"""Photos go in, faces with embeddings come out: the right ones for each caller, however many call at once."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.errors import FaceServiceError, ImageTooLarge, InvalidImage, Overloaded, UnsupportedFormat
from service.models.selection import ModelFiles
from service.timings import Timings
from service.values import Detection, Face
from service.vision.cropping import crop
from service.vision.detector import Detector
from service.vision.embedder import Crops, Embedder, OpenVinoEmbedder
from service.vision.engine import Engine, Observation
from service.vision.images import FORMATS
from service.vision.orientation import turned
from service.vision.preparation import Limits
from service.vision.sharing import Sharing

LIMITS = Limits(
    max_bytes=10 * 2**20, max_pixels=50_000_000, formats=FORMATS, search_side=2400, rotate=True, max_queue=256
)
NAMES = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"]


def everything(detections: list[Detection], _: tuple[int, int]) -> list[Detection]:
    return detections


def largest(detections: list[Detection], _: tuple[int, int]) -> list[Detection]:
    return detections[:1]


def encode(picture: Image.Image, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


@pytest.fixture(scope="module")
def hundred(photos: Path) -> list[bytes]:
    """A hundred different JPEGs of 200 to 300 pixels: five people's photos, each in twenty sizes."""
    originals = [Image.open(photos / name).convert("RGB") for name in NAMES]
    made = []
    for i in range(100):
        picture = originals[i % 5].copy()
        picture.thumbnail((200 + i, 200 + i))
        made.append(encode(picture))
    return made


@asynccontextmanager
async def running(
    detector: Detector,
    embedder: Embedder,
    workers: int = 2,
    limits: Limits = LIMITS,
    on_batch: Callable[[int], None] = lambda _: None,
    sharing: Sharing | None = None,
) -> AsyncIterator[Engine]:
    engine = Engine(detector, embedder, limits, workers=workers, max_batch=8, on_batch=on_batch, sharing=sharing)
    try:
        yield engine
    finally:
        await engine.close()


async def only_face(engine: Engine, photo: bytes) -> Face:
    observation = await engine.observe(photo, largest, Timings())
    [face] = observation.faces
    return face


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b)


# Answers


@pytest.mark.slow
async def test_a_photo_becomes_the_detectors_faces_with_the_embedders_vectors(
    engine: Engine, detector: Detector, embedder: OpenVinoEmbedder, photos: Path
) -> None:
    photo = (photos / "obama.jpg").read_bytes()
    observation = await engine.observe(photo, everything, Timings())
    picture = Image.open(photos / "obama.jpg").convert("RGB")
    detections = detector.detect(np.asarray(picture))
    assert [face.detection for face in observation.faces] == detections
    expected = embedder.embed(np.stack([crop(picture, each.box) for each in detections]))
    for face, vector in zip(observation.faces, expected, strict=True):
        assert cosine(face.embedding, vector) > 0.999
    assert observation.size == picture.size


async def test_only_the_chosen_faces_are_embedded(engine: Engine, photos: Path) -> None:
    """In the order of the choice; the choice is offered every face, the largest first."""
    photo = (photos / "obama.jpg").read_bytes()
    offered: list[Detection] = []

    def last(detections: list[Detection], _: tuple[int, int]) -> list[Detection]:
        offered.extend(detections)
        return detections[-1:]

    observation = await engine.observe(photo, last, Timings())
    assert len(offered) == 2
    assert offered[0].box.area > offered[1].box.area
    assert [face.detection for face in observation.faces] == offered[1:]
    assert (await engine.observe(photo, lambda *_: [], Timings())).faces == []


async def test_a_photo_without_a_face_is_no_error(engine: Engine, photos: Path) -> None:
    """What it means is for the gallery to say."""
    observation = await engine.observe((photos / "chelsea.png").read_bytes(), everything, Timings())
    assert observation.faces == []
    assert observation.size == (451, 300)


@pytest.mark.slow
async def test_a_picture_is_made_where_one_is_asked_for(engine: Engine, photos: Path) -> None:
    """In the same visit to a worker; the size stays that of the photo, and without a face there is none."""
    photo = (photos / "obama.jpg").read_bytes()
    timings = Timings()
    observation = await engine.observe(photo, largest, timings, picture_side=100)
    with Image.open(io.BytesIO(base64.b64decode(observation.picture))) as picture:
        assert max(picture.size) == 100
    with Image.open(photos / "obama.jpg") as whole:
        assert observation.size == whole.size
    assert list(timings) == ["decode", "detect", "crop", "picture", "embed"]
    assert (await engine.observe(photo, largest, Timings())).picture == ""
    assert (await engine.observe(photo, lambda *_: [], Timings(), picture_side=100)).picture == ""


@pytest.mark.parametrize(("orientation", "turned"), [(1, False), (3, False), (6, True), (8, True)])
async def test_the_size_is_that_of_the_upright_photo(engine: Engine, orientation: int, turned: bool) -> None:
    """Also of one so large that it is reduced while it is decoded."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.new("RGB", (5001, 1003)).save(out, "JPEG", exif=exif)
    observation = await engine.observe(out.getvalue(), everything, Timings())
    assert observation.size == ((1003, 5001) if turned else (5001, 1003))


@pytest.mark.slow
@pytest.mark.parametrize("side", [400, 3000])
@pytest.mark.parametrize("rotation", [90, 180, 270])
async def test_a_lying_photo_gives_what_the_upright_one_gives(
    detector: Detector, embedder: OpenVinoEmbedder, photos: Path, rotation: int, side: int
) -> None:
    """Size, detection, embedding and picture; also of one so large that it is searched at a reduced size."""
    upright = Image.open(photos / "biden.jpg").convert("RGB").crop((0, 0, 970, 1200))
    upright = upright.resize((side * 4 // 5, side))
    lying = turned(upright, 360 - rotation)
    async with running(detector, embedder, limits=replace(LIMITS, max_bytes=2**25)) as engine:
        expected = await engine.observe(encode(upright, "BMP"), largest, Timings(), picture_side=100)
        observation = await engine.observe(encode(lying, "BMP"), largest, Timings(), picture_side=100)
    assert (expected.rotation, observation.rotation) == (0, rotation)
    assert observation.size == expected.size == upright.size
    [face], [same] = observation.faces, expected.faces
    assert face.detection == same.detection
    assert cosine(face.embedding, same.embedding) > 0.999
    assert observation.picture == expected.picture


@pytest.mark.slow
async def test_a_lying_photo_from_the_field_is_the_same_person(engine: Engine, shared: Path) -> None:
    """As the same photo turned by hand."""
    lying = (shared / "cases" / "photos" / "rot90_noexif.jpg").read_bytes()
    upright = await only_face(engine, encode(turned(Image.open(io.BytesIO(lying)), 90), "PNG"))
    face = await only_face(engine, lying)
    assert face.detection.score > 0.99
    assert cosine(face.embedding, upright.embedding) > 0.9


@pytest.mark.slow
async def test_each_stage_is_timed(engine: Engine, hundred: list[bytes]) -> None:
    timings = Timings()
    await engine.observe(hundred[0], largest, timings)
    assert list(timings) == ["decode", "detect", "crop", "embed"]
    assert min(timings.values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("form", "side"), [("JPEG", 3000), ("JPEG", 6000), ("BMP", 3000)])
async def test_a_large_photo_has_the_same_face_as_the_photo_at_its_normal_size(
    detector: Detector, embedder: OpenVinoEmbedder, photos: Path, form: str, side: int
) -> None:
    """It is searched at a reduced size; boxes and landmarks count in pixels of the photo that was sent."""
    normal = Image.open(photos / "astronaut.png").convert("RGB")
    large = normal.resize((side, side), Image.Resampling.BICUBIC)
    photo = encode(large, form)
    async with running(detector, embedder, limits=replace(LIMITS, max_bytes=len(photo))) as engine:
        expected = await only_face(engine, encode(normal, "PNG"))
        found = await only_face(engine, photo)
    times = side / 512
    size = expected.detection.box.height * times
    np.testing.assert_allclose(found.detection.box, expected.detection.box.scaled(times), rtol=0, atol=size / 20)
    landmarks = expected.detection.scaled(times).landmarks
    np.testing.assert_allclose(found.detection.landmarks, landmarks, rtol=0, atol=size / 20)
    assert cosine(found.embedding, expected.embedding) > 0.95


# Many at once


@pytest.mark.slow
async def test_a_hundred_at_once_get_each_their_own_answer(engine: Engine, hundred: list[bytes]) -> None:
    """The same as one after the other."""
    alone = [await only_face(engine, each) for each in hundred]
    together = await asyncio.gather(*(only_face(engine, each) for each in hundred))
    for one, other in zip(alone, together, strict=True):
        assert one.detection == other.detection
        assert cosine(one.embedding, other.embedding) > 0.999
    assert len({face.detection for face in together}) == 100, "the photos are too alike to tell anything"


@pytest.mark.slow
async def test_what_one_sends_wrong_does_not_touch_the_others(engine: Engine, hundred: list[bytes]) -> None:
    """Each error reaches the one that it is about, as what it is."""
    wrong: list[tuple[bytes, type[FaceServiceError]]] = [
        (b"", InvalidImage),
        (b"no photo", UnsupportedFormat),
        (hundred[0][:2000], InvalidImage),
        (bytes(10 * 2**20 + 1), ImageTooLarge),
    ]
    mixed = [photo for pair in zip(hundred[:4], [photo for photo, _ in wrong], strict=True) for photo in pair]
    found = await asyncio.gather(*(only_face(engine, each) for each in mixed), return_exceptions=True)
    assert all(isinstance(each, Face) for each in found[::2])
    assert [type(each) for each in found[1::2]] == [error for _, error in wrong]


@pytest.mark.slow
async def test_what_waits_and_each_batch_can_be_watched(
    detector: Detector, embedder: OpenVinoEmbedder, hundred: list[bytes]
) -> None:
    """The photos that are taken on and not done, and the size of each batch; afterwards nothing waits."""
    sizes: list[int] = []
    async with running(detector, embedder, workers=1, on_batch=sizes.append) as engine:
        tasks = [asyncio.create_task(only_face(engine, each)) for each in hundred[:5]]
        await asyncio.sleep(0)
        assert engine.photos_waiting == 5
        await asyncio.gather(*tasks)
        assert (engine.photos_waiting, engine.crops_waiting) == (0, 0)
    assert sum(sizes) == 5


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
async def test_a_door_waits_for_no_more_than_what_has_begun_and_a_batch(
    files: ModelFiles, hundred: list[bytes], threads: int
) -> None:
    """However many photos an importer has waiting: before the door only those are done that were begun when it came,
    and those of the batches that are run meanwhile; also where inferences run side by side.
    """
    sharing = Sharing(threads)
    detector = Detector(files, threads=threads, min_face=20, min_share=0.04, sharing=sharing)
    embedder = OpenVinoEmbedder(files.facenet, threads, sharing=sharing)
    async with running(detector, embedder, workers=2, sharing=sharing) as engine:
        done: list[str] = []

        async def observe(photo: bytes, caller: str) -> None:
            await engine.observe(photo, largest, Timings(caller))
            done.append(caller)

        tasks = [asyncio.create_task(observe(each, "importer")) for each in hundred[:40]]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(observe(hundred[64], "door")))
        await asyncio.gather(*tasks)
    assert done.index("door") <= 2 + 2 * 8


@pytest.mark.slow
async def test_a_photo_that_was_looked_at_is_not_refused(
    detector: Detector, embedder: OpenVinoEmbedder, hundred: list[bytes]
) -> None:
    """Where the embedder is behind, no further photo is begun until there is room for its faces."""
    async with running(detector, embedder, workers=2, limits=replace(LIMITS, max_queue=2)) as engine:
        waiting: list[int] = []

        async def until_taken(photo: bytes) -> Face:
            while True:
                try:
                    return await only_face(engine, photo)
                except Overloaded:  # before it was begun
                    waiting.append(engine.crops_waiting)
                    await asyncio.sleep(0.01)

        assert all(isinstance(each, Face) for each in await asyncio.gather(*map(until_taken, hundred[:30])))
    assert max(waiting) <= 2


@pytest.mark.slow
async def test_more_photos_than_may_wait_are_refused_at_once(
    detector: Detector, embedder: OpenVinoEmbedder, hundred: list[bytes]
) -> None:
    """The others are answered, and later there is room again."""
    async with running(detector, embedder, workers=1, limits=replace(LIMITS, max_queue=5)) as engine:
        tasks = [asyncio.create_task(only_face(engine, each)) for each in hundred[:20]]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = [task for task in tasks if task.done()]
        assert len(refused) == 15
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(each, Face) for each in found) == 5
        assert sum(isinstance(each, Overloaded) for each in found) == 15
        assert isinstance(await only_face(engine, hundred[0]), Face)


@pytest.mark.slow
@pytest.mark.parametrize("after_ms", [0, 1, 5, 20])
async def test_callers_who_leave_break_nothing_for_the_others(
    engine: Engine, hundred: list[bytes], after_ms: int
) -> None:
    """Whatever their photos are going through at that moment."""
    expected = [await only_face(engine, each) for each in hundred[:12]]
    tasks = [asyncio.create_task(only_face(engine, each)) for each in hundred[:12]]
    await asyncio.sleep(after_ms / 1000)
    for task in tasks[::3]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    for i, face in enumerate(found):
        if i % 3 == 0:
            assert isinstance(face, (asyncio.CancelledError, Face))
        else:
            assert isinstance(face, Face)
            assert face.detection == expected[i].detection
            assert cosine(face.embedding, expected[i].embedding) > 0.999
    again = await asyncio.gather(*(only_face(engine, each) for each in hundred[:12]))
    assert [face.detection for face in again] == [face.detection for face in expected]


# Failures


class Failing:
    """An embedder that fails on its first call."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.failed = False

    def warm(self) -> None:
        self._embedder.warm()

    def embed(self, crops: Crops) -> NDArray[np.float32]:
        if not self.failed:
            self.failed = True
            raise RuntimeError("out of memory")
        return self._embedder.embed(crops)


async def test_when_the_embedder_fails_the_caller_learns_it_and_the_next_is_served(
    detector: Detector, embedder: OpenVinoEmbedder, hundred: list[bytes]
) -> None:
    async with running(detector, Failing(embedder)) as engine:
        with pytest.raises(RuntimeError, match="out of memory"):
            await only_face(engine, hundred[0])
        assert isinstance(await only_face(engine, hundred[0]), Face)


async def test_closing_leaves_nobody_waiting(
    detector: Detector, embedder: OpenVinoEmbedder, hundred: list[bytes]
) -> None:
    """Who can't be served any more gets an error."""
    async with running(detector, embedder, workers=1) as engine:
        tasks = [asyncio.create_task(engine.observe(each, largest, Timings())) for each in hundred[:20]]
        await asyncio.sleep(0.03)
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert any(isinstance(each, (Overloaded, asyncio.CancelledError)) for each in found)
    assert all(isinstance(each, (Observation, Overloaded, asyncio.CancelledError)) for each in found)
