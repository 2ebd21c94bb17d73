"""FaceNet with its normalisations folded in gives facenet-pytorch's embeddings, in every precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.models.selection import ModelFiles
from service.values import Rgb
from service.vision.gpu.embedder import SIZES, TorchEmbedder, dtype_of
from tests.support import facenet

pytestmark = pytest.mark.torch

Embeddings = NDArray[np.float32]


@pytest.fixture(scope="module")
def crops(album_of_sizes: list[Rgb]) -> NDArray[np.uint8]:
    """Parts of photos, black, white and noise, (8, 160, 160, 3)."""
    parts = [np.resize(photo[20:180, 20:180], (160, 160, 3)) for photo in album_of_sizes[:5]]
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3))
    return np.stack([*parts, np.zeros_like(parts[0]), np.full_like(parts[0], 255), noise.astype(np.uint8)])


@pytest.fixture(scope="module")
def expected(files: ModelFiles, crops: NDArray[np.uint8]) -> Embeddings:
    return facenet.embed(files.weights, crops)


def least_cosine(a: Embeddings, b: Embeddings) -> float:
    return float((a * b).sum(axis=1).min())


@pytest.mark.slow
def test_embeddings_are_facenet_pytorchs(files: ModelFiles, crops: NDArray[np.uint8], expected: Embeddings) -> None:
    np.testing.assert_allclose(TorchEmbedder(files.weights, "cpu").embed(crops), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "cosine"), [("auto", 0.9999), ("bf16", 0.999), ("int8", 0.9999)])
def test_faster_arithmetic_changes_next_to_nothing(
    files: ModelFiles, crops: NDArray[np.uint8], expected: Embeddings, precision: str, cosine: float
) -> None:
    """There is no int8 on a GPU; float16 stands in for it."""
    embeddings = TorchEmbedder(files.weights, "cpu", precision).embed(crops[-4:])
    assert least_cosine(embeddings, expected[-4:]) > cosine
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_the_precision_that_is_asked_for_is_taken() -> None:
    import torch

    assert [dtype_of(each) for each in ("f32", "bf16", "auto")] == [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(scope="module")
def on_gpu(files: ModelFiles) -> TorchEmbedder:
    return TorchEmbedder(files.weights, "cuda", "auto")


@pytest.mark.gpu
@pytest.mark.parametrize("count", [1, 3, 8, SIZES[-1], SIZES[-1] + 1, 3 * SIZES[-1] + 5])
def test_a_gpu_embeds_any_number_of_faces(
    on_gpu: TorchEmbedder, crops: NDArray[np.uint8], expected: Embeddings, count: int
) -> None:
    """In the order in which they came, whatever batch was computed before."""
    order = np.arange(count) * 5 % len(crops)
    assert least_cosine(on_gpu.embed(crops[order]), expected[order]) > 0.999


@pytest.mark.gpu
def test_a_gpu_with_little_memory_takes_smaller_batches(
    files: ModelFiles, crops: NDArray[np.uint8], expected: Embeddings
) -> None:
    import torch

    from service.vision.gpu.memory import limit_memory

    torch.cuda.empty_cache()
    limit_memory(torch.cuda.memory_allocated() + 500 * 2**20)
    try:
        small = TorchEmbedder(files.weights, "cuda", "auto")
        order = np.arange(SIZES[-1]) % len(crops)
        assert least_cosine(small.embed(crops[order]), expected[order]) > 0.999
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.slow
def test_weights_in_half_precision_are_read(shared: Path, crops: NDArray[np.uint8], tmp_path: Path) -> None:
    """As vggface2's come."""
    import torch
    from safetensors.torch import save_file

    state = torch.load(shared / "models" / "facenet-vggface2-fp16.pt", weights_only=True)
    weights = tmp_path / "vggface2.safetensors"
    save_file({name: each for name, each in state.items() if not name.startswith("logits.")}, weights)
    assert least_cosine(TorchEmbedder(weights, "cpu").embed(crops[:2]), facenet.embed(weights, crops[:2])) > 0.999999
