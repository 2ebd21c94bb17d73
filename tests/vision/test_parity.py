"""The same photos give the same faces and embeddings as facenet-pytorch's own MTCNN and InceptionResnetV1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.models.selection import ModelFiles
from service.values import Box, Detection
from service.vision.cropping import crop
from service.vision.detector import Detector
from service.vision.embedder import OpenVinoEmbedder
from service.vision.images import decode
from tests.support import facenet
from tests.support.facenet import Reference

pytestmark = pytest.mark.torch

PHOTOS = [
    "obama.jpg",
    "obama2.jpg",
    "obama3.jpg",
    "biden.jpg",
    "astronaut.png",
    "obama_partial_face.jpg",
    "obama_partial_face2.jpg",
]


@pytest.fixture(scope="module")
def kept(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.cache.mkdir("facenet-pytorch")


def opened(path: Path) -> Image.Image:
    return decode(path.read_bytes(), max_bytes=10 * 2**20, max_pixels=50_000_000)


def wanted(found: Reference, photo: Image.Image) -> list[int]:
    """The reference's faces that recognition can use: 40 pixels and 1/25 of the photo's longer side."""
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1)
    return np.flatnonzero(sides >= max(40, max(photo.size) / 25)).tolist()


def nearest(box: NDArray[np.float32], detections: list[Detection]) -> Detection:
    assert detections, f"the face at {box} was not found"
    return min(detections, key=lambda each: float(np.abs(np.array(each.box) - box).max()))


def check_detections(found: Reference, detections: list[Detection], photo: Image.Image) -> int:
    """Boxes within 1 pixel or 1 %, landmarks within 2, scores within 0.01, nothing besides; the number compared."""
    compared = wanted(found, photo)
    for i in compared:
        ours = nearest(found.boxes[i], detections)
        side = float((found.boxes[i, 2:] - found.boxes[i, :2]).max())
        np.testing.assert_allclose(ours.box, found.boxes[i], rtol=0, atol=max(1, side / 100))
        np.testing.assert_allclose(ours.landmarks, found.landmarks[i], rtol=0, atol=max(2, side / 50))
        assert ours.score == pytest.approx(found.scores[i], abs=0.01)
    for ours in detections:
        side = max(ours.box.width, ours.box.height)
        assert np.abs(found.boxes - np.array(ours.box)).max(axis=1).min() <= max(1, side / 100), f"{ours} is no face"
    return len(compared)


def same(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosines of rows."""
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


@pytest.mark.parametrize("name", PHOTOS)
def test_faces_are_where_mtcnn_finds_them(
    photos: Path, kept: Path, detector: Detector, by_default: Detector, name: str
) -> None:
    """Whether the search begins at 20 pixels, as MTCNN's, or where the settings let it begin."""
    photo = opened(photos / name)
    found = facenet.find(photo, kept)
    assert check_detections(found, detector.detect(np.asarray(photo)), photo)
    assert check_detections(found, by_default.detect(np.asarray(photo)), photo)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "coins.png", "text.png", "retina.jpg"])
def test_where_mtcnn_finds_no_face_there_is_none(photos: Path, kept: Path, detector: Detector, name: str) -> None:
    photo = opened(photos / name)
    assert not len(facenet.find(photo, kept).boxes)
    assert detector.detect(np.asarray(photo)) == []


@pytest.mark.slow
def test_every_photo_of_the_shared_folder_has_mtcnns_faces(
    shared: Path, kept: Path, detector: Detector, by_default: Detector
) -> None:
    """Portraits, groups, turned heads, masks, EXIF, and every fifteenth of the 600 photos of lfw_mini."""
    paths = sorted(path for path in (shared / "faces" / "photos").rglob("*") if path.is_file())
    paths += sorted((shared / "faces" / "lfw_mini").rglob("*.jpg"))[::15]
    assert len(paths) > 90
    compared = 0
    for path in paths:
        photo = opened(path)
        found = facenet.find(photo, kept)
        compared += check_detections(found, detector.detect(np.asarray(photo)), photo)
        assert check_detections(found, by_default.detect(np.asarray(photo)), photo) == len(wanted(found, photo)), path
    assert compared > 90


def test_crops_are_those_of_extract_face(photos: Path) -> None:
    """Inside the photo and over each of its edges, where the margin is cut off."""
    photo = opened(photos / "obama.jpg")
    width, height = photo.size
    for corners in [
        (300.2, 200.7, 520.9, 480.1),
        (-30.5, 20.2, 90.1, 180.4),
        (40.6, -25.3, 140.2, 99.9),
        (width - 80.5, 100.0, width + 60.3, 300.0),
        (100.0, height - 90.7, 200.0, height + 40.2),
        (-10.0, -10.0, width + 10.0, height + 10.0),
    ]:
        expected = facenet.crop(photo, np.array(corners, dtype=np.float32))
        np.testing.assert_array_equal(crop(photo, Box(*corners)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOS)
def test_embeddings_are_those_of_inception_resnet(
    photos: Path,
    kept: Path,
    files: ModelFiles,
    detector: Detector,
    exact: OpenVinoEmbedder,
    embedder: OpenVinoEmbedder,
    name: str,
) -> None:
    """From the photo to the vector, each step ours against each step facenet-pytorch's: cosine 0.999 and better.

    Computed in float32 and in whatever is fastest on this processor.
    """
    photo = opened(photos / name)
    found = facenet.find(photo, kept)
    detections = detector.detect(np.asarray(photo))
    chosen = wanted(found, photo)
    crops = np.stack([crop(photo, nearest(found.boxes[i], detections).box) for i in chosen])
    expected = facenet.embed(files.weights, np.stack([facenet.crop(photo, found.boxes[i]) for i in chosen]))
    assert same(exact.embed(crops), expected).min() >= 0.9999
    assert same(embedder.embed(crops), expected).min() >= 0.999
