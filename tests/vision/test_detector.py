"""Which faces the detector finds, and that no photo of any size makes it fail."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.models.selection import ModelFiles
from service.values import Box, Detection, Rgb
from service.vision.cropping import crop
from service.vision.detector import Detector
from service.vision.images import decode


@pytest.fixture(scope="module")
def heads(photos: Path) -> list[Image.Image]:
    """Square cut-outs of 300 pixels with a face in the middle: the astronaut, Obama twice, Biden."""
    places = {
        "astronaut.png": (114, 7, 334, 227),
        "obama.jpg": (241, 3, 741, 503),
        "obama2.jpg": (36, 131, 626, 721),
        "biden.jpg": (280, 73, 860, 653),
    }
    return [Image.open(photos / name).convert("RGB").crop(box).resize((300, 300)) for name, box in places.items()]


def pixels(picture: Image.Image) -> Rgb:
    return np.asarray(picture.convert("RGB"))


def background(width: int, height: int) -> Image.Image:
    """A smooth run of colours."""
    across = np.linspace(60, 200, width)[None, :, None]
    down = np.linspace(0, 40, height)[:, None, None]
    return Image.fromarray((across + down + np.array([0, 5, 10])).astype(np.uint8))


def middle(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2


def lies_within(detection: Detection, left: float, top: float, side: float) -> bool:
    """Whether the face is about where a head of `side` pixels was pasted."""
    x, y = middle(detection.box)
    return abs(x - left - side / 2) < side / 4 and abs(y - top - side / 2) < side / 4


# What is found


def test_a_face_has_its_box_its_landmarks_and_a_certainty(photos: Path, by_default: Detector) -> None:
    """Eyes above the nose above the mouth, left to the left as the viewer sees it, all inside the box."""
    [face] = by_default.detect(pixels(Image.open(photos / "astronaut.png")))
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert 0.99 < face.score <= 1
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    for x, y in face.landmarks:
        assert face.box.left < x < face.box.right
        assert face.box.top < y < face.box.bottom


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "coins.png", "brick.png", "text.png"])
def test_a_photo_of_something_else_has_no_face(photos: Path, detector: Detector, name: str) -> None:
    assert detector.detect(pixels(Image.open(photos / name))) == []


@pytest.mark.parametrize("shade", [0, 127, 255])
@pytest.mark.parametrize("size", [(60, 60), (250, 251), (1000, 700)])
def test_a_uniform_picture_has_no_face(detector: Detector, size: tuple[int, int], shade: int) -> None:
    assert detector.detect(np.full((*size, 3), shade, dtype=np.uint8)) == []


@pytest.mark.parametrize("size", [(60, 60), (250, 251), (1000, 700)])
def test_noise_has_no_face(detector: Detector, size: tuple[int, int]) -> None:
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)) == []


def test_faces_come_the_largest_first(detector: Detector, heads: list[Image.Image]) -> None:
    """In whatever order and place they stand in the photo."""
    photo = background(1200, 500)
    sides = [120, 300, 80, 200]
    for i, (head, side) in enumerate(zip(heads, sides, strict=True)):
        photo.paste(head.resize((side, side)), (300 * i, 50))
    found = detector.detect(pixels(photo))
    assert [int(middle(each.box)[0] // 300) for each in found] == [1, 3, 0, 2]


@pytest.mark.slow
def test_thirty_faces_are_all_found(by_default: Detector, heads: list[Image.Image]) -> None:
    """A group photo: each in its place, none twice, the largest first."""
    photo = background(1800, 1500)
    places = []
    for i in range(30):
        side = 150 + 5 * ((i * 7) % 30)
        places.append((300 * (i % 6), 300 * (i // 6), side))
        photo.paste(heads[i % len(heads)].resize((side, side)), places[-1][:2])
    found = by_default.detect(pixels(photo))
    assert len(found) == 30
    for place in places:
        assert sum(lies_within(each, *place) for each in found) == 1
    areas = [each.box.area for each in found]
    assert areas == sorted(areas, reverse=True)


def test_a_face_cut_by_the_photos_edge_is_found_and_cropped(photos: Path, by_default: Detector) -> None:
    """Its box reaches past the edge; the crop has the usual size all the same."""
    photo = Image.open(photos / "obama_partial_face.jpg").convert("RGB")
    face = by_default.detect(pixels(photo))[0]
    assert face.box.left < 0
    assert crop(photo, face.box).shape == (160, 160, 3)


# Sizes


@pytest.mark.slow
def test_no_size_up_to_64_pixels_is_too_small_to_be_looked_at(detector: Detector, heads: list[Image.Image]) -> None:
    """From 1×1 on; below 20 pixels there is no face, in the whole square there is."""
    found = {}
    for height in range(1, 65):
        for width in [*range(1, 65, 7), height]:
            found[height, width] = detector.detect(pixels(heads[0].resize((width, height))))
    assert not any(faces for (height, width), faces in found.items() if min(height, width) < 20)
    assert found[64, 64]


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (19, 10_000), (2, 2)])
def test_a_picture_narrower_than_a_face_has_none(detector: Detector, size: tuple[int, int]) -> None:
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize(
    ("width", "height", "place"),
    [
        (6000, 200, (4321, 20)),
        (200, 6000, (20, 4321)),
        (10_000, 170, (9840, 5)),
        (32_765, 170, (32_600, 5)),
        (33_000, 170, (16_000, 5)),
        (50_000, 170, (49_840, 5)),
        (170, 50_000, (5, 49_840)),
    ],
)
@pytest.mark.slow
def test_the_face_in_a_panorama_is_found(
    by_default: Detector, heads: list[Image.Image], width: int, height: int, place: tuple[int, int]
) -> None:
    """However long it is beside the face."""
    photo = background(width, height)
    photo.paste(heads[1].resize((160, 160)), place)
    [face] = by_default.detect(pixels(photo))
    assert lies_within(face, *place, 160)
    assert crop(photo, face.box).std() > 30, "the crop shows the background"


@pytest.mark.slow
def test_the_face_in_a_photo_of_20_megapixels_is_found_in_its_place(
    by_default: Detector, heads: list[Image.Image]
) -> None:
    photo = background(5000, 4000)
    photo.paste(heads[2].resize((900, 900)), (3900, 3000))
    [face] = by_default.detect(pixels(photo))
    assert lies_within(face, 3900, 3000, 900)


@pytest.mark.slow
def test_faces_below_the_smallest_are_not_looked_for(files: ModelFiles, heads: list[Image.Image]) -> None:
    """In pixels, and as a share of the photo's longer side; what is as large is found."""
    photo = background(800, 400)
    photo.paste(heads[2].resize((300, 300)), (20, 20))
    photo.paste(heads[1].resize((60, 60)), (600, 100))

    def found(min_face: int, min_share: float) -> int:
        return len(Detector(files, threads=2, min_face=min_face, min_share=min_share).detect(pixels(photo)))

    assert found(20, 0.0) == found(40, 0.04) == 2
    assert found(150, 0.04) == found(20, 0.1875) == 1


# Whatever way it comes


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_turned_by_exif_has_the_same_faces(photos: Path, by_default: Detector, orientation: int) -> None:
    """In the coordinates of the upright photo."""
    upright = Image.open(photos / "astronaut.png").convert("RGB")
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = io.BytesIO()
    upright.transpose(turn).save(stored, "PNG", exif=exif)
    read = decode(stored.getvalue(), max_bytes=10**7, max_pixels=10**7)
    found = by_default.detect(pixels(read))
    assert found
    assert found == by_default.detect(pixels(upright))
    assert by_default.detect(pixels(upright.transpose(turn))) != found


@pytest.mark.slow
def test_several_threads_get_the_answers_of_one(by_default: Detector, heads: list[Image.Image]) -> None:
    """Photos of different sizes at once, each several times."""
    photos = []
    for i in range(24):
        photo = background(400 + 37 * i, 400 + 11 * i)
        photo.paste(heads[i % 4].resize((100 + 10 * i, 100 + 10 * i)), (20, 30))
        photos.append(pixels(photo))
    alone = [by_default.detect(each) for each in photos]
    assert all(len(each) == 1 for each in alone)
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(by_default.detect, photos * 3))
    assert together == alone * 3


@pytest.mark.parametrize(
    "box",
    [Box(-90, -80, -10, -5), Box(400, 10, 500, 90), Box(10, 400, 90, 500), Box(30, 30, 30, 30), Box(50, 60, 40, 20)],
    ids=["above", "to the right", "below", "a point", "inside out"],
)
def test_a_box_beside_the_photo_gives_a_crop_and_no_error(heads: list[Image.Image], box: Box) -> None:
    """The networks may move a box off the photo, or turn it inside out."""
    assert crop(heads[0], box).shape == (160, 160, 3)
