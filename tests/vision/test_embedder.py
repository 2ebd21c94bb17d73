"""Crops become unit vectors, the same whatever computes them and in whatever company they come."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Settings
from service.vision.cropping import crop
from service.vision.detector import Detector
from service.vision.embedder import MirroredEmbedder, OpenVinoEmbedder, open_embedder
from service.vision.gpu.embedder import TorchEmbedder
from service.vision.sharing import Sharing

NAMES = ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"]


@pytest.fixture(scope="module")
def crops(photos: Path, detector: Detector) -> NDArray[np.uint8]:
    """The faces of NAMES, (5, 160, 160, 3): three of Obama, one of Biden, one of the astronaut."""
    made = []
    for name in NAMES:
        photo = Image.open(photos / name).convert("RGB")
        made.append(crop(photo, detector.detect(np.asarray(photo))[0].box))
    return np.stack(made)


@pytest.fixture(scope="module")
def in_torch(files: ModelFiles) -> TorchEmbedder:
    return TorchEmbedder(files.weights, "cpu")


@pytest.fixture(scope="module")
def sharing() -> Sharing:
    return Sharing(2)


@pytest.fixture(scope="module")
def beside_others(files: ModelFiles, sharing: Sharing) -> OpenVinoEmbedder:
    return OpenVinoEmbedder(files.facenet, threads=2, precision="f32", sharing=sharing)


def test_an_embedding_has_512_numbers_and_length_1(embedder: OpenVinoEmbedder, crops: NDArray[np.uint8]) -> None:
    embeddings = embedder.embed(crops)
    assert embeddings.shape == (5, 512)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_photos_of_one_person_are_more_alike_than_of_two(embedder: OpenVinoEmbedder, crops: NDArray[np.uint8]) -> None:
    embeddings = embedder.embed(crops)
    alike = embeddings @ embeddings.T
    same = alike[:3, :3][np.triu_indices(3, 1)]
    assert same.min() > 0.6
    assert alike[:3, 3:].max() < 0.5
    assert alike[3, 4] < 0.5


@pytest.mark.slow
@pytest.mark.torch
def test_openvino_and_torch_agree(exact: OpenVinoEmbedder, in_torch: TorchEmbedder, crops: NDArray[np.uint8]) -> None:
    """So a gallery made on a GPU can be searched on a processor."""
    assert (exact.embed(crops) * in_torch.embed(crops)).sum(axis=1).min() > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_faster_arithmetic_changes_next_to_nothing(
    files: ModelFiles, exact: OpenVinoEmbedder, crops: NDArray[np.uint8], precision: str
) -> None:
    """bfloat16 where the processor has it: a cosine of 0.999 and better."""
    fast = OpenVinoEmbedder(files.facenet, threads=2, precision=precision)
    assert (fast.embed(crops) * exact.embed(crops)).sum(axis=1).min() > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("model", ["casia-webface", "vggface2"])
def test_int8_changes_next_to_nothing(
    request: pytest.FixtureRequest, files: ModelFiles, crops: NDArray[np.uint8], model: str, tmp_path: Path
) -> None:
    """Of both published models, and without a single photo of one's own."""
    if model == "vggface2":
        shared: Path = request.getfixturevalue("shared")
        weights = shared / "models" / "facenet-vggface2-fp16.pt"
        files = selection.prepare(Settings(weights=weights, model_dir=files.facenet.parents[1]), kept=None)
    files = replace(files, facenet_int8=tmp_path / "int8" / "facenet.xml")
    int8 = open_embedder(files, compute="cpu", precision="int8", threads=2).embed(crops)
    exact = OpenVinoEmbedder(files.facenet, threads=2, precision="f32").embed(crops)
    assert (int8 * exact).sum(axis=1).min() > 0.995


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 7, 9, 33])
def test_a_face_has_the_same_embedding_alone_and_in_any_batch(
    exact: OpenVinoEmbedder, crops: NDArray[np.uint8], count: int
) -> None:
    """In the order in which they came, and unchanged by what a batch is filled up with."""
    order = np.arange(count) % 5
    together = exact.embed(crops[order])
    assert together.shape == (count, 512)
    alone = np.concatenate([exact.embed(each[None]) for each in crops])
    np.testing.assert_allclose(together, alone[order], atol=1e-4)


@pytest.mark.slow
def test_several_threads_get_the_embeddings_of_one(exact: OpenVinoEmbedder, crops: NDArray[np.uint8]) -> None:
    batches = [crops[: 1 + i % 5] for i in range(15)]
    alone = [exact.embed(each) for each in batches[:5]]
    with ThreadPoolExecutor(8) as threads:
        for i, together in enumerate(threads.map(exact.embed, batches)):
            np.testing.assert_allclose(together, alone[i % 5], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_face_has_the_same_embedding_where_processors_are_shared(
    beside_others: OpenVinoEmbedder, sharing: Sharing, exact: OpenVinoEmbedder, crops: NDArray[np.uint8], count: int
) -> None:
    """Each inference has one thread there, and several run side by side."""
    batch = crops[np.arange(count) % 5]
    alone = exact.embed(batch)
    with sharing.photo(), sharing.photo(), ThreadPoolExecutor(4) as threads:
        for together in threads.map(beside_others.embed, [batch] * 4):
            np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_crop_without_anything_in_it_still_has_an_embedding(embedder: OpenVinoEmbedder, shade: int) -> None:
    """Finite and of length 1."""
    [embedding] = embedder.embed(np.full((1, 160, 160, 3), shade, dtype=np.uint8))
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_warming_changes_no_embedding(files: ModelFiles, exact: OpenVinoEmbedder, crops: NDArray[np.uint8]) -> None:
    warmed = OpenVinoEmbedder(files.facenet, threads=2, precision="f32")
    warmed.warm()
    np.testing.assert_allclose(warmed.embed(crops), exact.embed(crops), atol=1e-4)


def test_a_mirrored_face_has_the_embedding_of_the_face_where_both_are_averaged(
    exact: OpenVinoEmbedder, crops: NDArray[np.uint8]
) -> None:
    """It is the mean of the two, of length 1, and near enough to the plain one to stand in the same gallery."""
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    averaged = MirroredEmbedder(exact).embed(crops)
    np.testing.assert_allclose(MirroredEmbedder(exact).embed(mirrored), averaged, rtol=0, atol=1e-4)
    plain = exact.embed(crops)
    mean = plain + exact.embed(mirrored)
    np.testing.assert_allclose(averaged, mean / np.linalg.norm(mean, axis=1, keepdims=True), rtol=0, atol=1e-4)
    assert (averaged * plain).sum(axis=1).min() > 0.95


@pytest.mark.parametrize("mirror", [True, False])
def test_mirror_images_are_averaged_where_that_is_asked_for(files: ModelFiles, mirror: bool) -> None:
    opened = open_embedder(files, compute="cpu", precision="f32", threads=1, mirror=mirror)
    assert isinstance(opened, MirroredEmbedder) == mirror
