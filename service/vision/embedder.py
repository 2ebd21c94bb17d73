"""FaceNet: crops to unit vectors, on OpenVINO for processors and, in gpu/, on torch for NVIDIA's GPUs.

The two agree to a cosine of 0.9999 or better (bfloat16: 0.999).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidSettings
from service.models.int8 import facenet_graph
from service.models.selection import ModelFiles
from service.values import CROP_SIDE
from service.vision.gpu.embedder import TorchEmbedder
from service.vision.networks import MAX_BATCH_S, AnyBatchNetwork
from service.vision.sharing import Sharing

Crops = NDArray[np.uint8]
"""Shape (n, 160, 160, 3), RGB, 0 to 255; what the networks do to normalise them is inside the graphs."""

_NVIDIA_DRIVER = Path("/proc/driver/nvidia")
"""Where this is missing, torch isn't even imported to look for a GPU: that takes seconds and 200 MB."""


class Embedder(Protocol):
    """May be called from several threads at once."""

    def warm(self) -> None:
        """Get ready for every batch size, so that no request waits for a compilation."""

    def embed(self, crops: Crops) -> NDArray[np.float32]:
        """The embeddings, (n, 512), each of length 1."""


class OpenVinoEmbedder:
    """On the processor."""

    def __init__(self, facenet: Path, threads: int, precision: str = "auto", sharing: Sharing | None = None) -> None:
        """Load a graph and compile it for `threads` threads, in `f32`, `bf16` or the faster of them (`auto`).

        All are for one batch where `sharing` doesn't say that they are shared.
        """
        self._network = AnyBatchNetwork(facenet, sharing or Sharing(threads), precision)

    def warm(self) -> None:
        """See Embedder.warm."""
        self._network.warm((CROP_SIDE, CROP_SIDE, 3), longest_s=MAX_BATCH_S)

    def embed(self, crops: Crops) -> NDArray[np.float32]:
        """See Embedder.embed."""
        [embeddings] = self._network(crops, "embeddings")
        return to_unit_length(embeddings)


class MirroredEmbedder:
    """The mean of each crop's embedding and its mirror image's, by another embedder; both are in one batch."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def warm(self) -> None:
        """See Embedder.warm."""
        self._embedder.warm()

    def embed(self, crops: Crops) -> NDArray[np.float32]:
        """See Embedder.embed."""
        embeddings = self._embedder.embed(np.concatenate([crops, crops[:, :, ::-1]]))  # (2n, 512)
        return to_unit_length(embeddings[: len(crops)] + embeddings[len(crops) :])


def open_embedder(
    files: ModelFiles,
    *,
    compute: str,
    precision: str,
    threads: int,
    mirror: bool = False,
    sharing: Sharing | None = None,
) -> Embedder:
    """The embedder for FACE_COMPUTE (auto, cpu, cuda), FACE_PRECISION (auto, f32, bf16, int8) and FACE_MIRROR.

    Raises InvalidSettings for a GPU that isn't there, ModelUnavailable for an int8 model that can't be made by itself.
    """
    embedder = _open_unmirrored(files, compute, precision, sharing or Sharing(threads))
    return MirroredEmbedder(embedder) if mirror else embedder


def _open_unmirrored(files: ModelFiles, compute: str, precision: str, sharing: Sharing) -> Embedder:
    if uses_gpu(compute):
        return TorchEmbedder(files.weights, "cuda", precision)
    graph, of_floats = facenet_graph(files, precision)
    return OpenVinoEmbedder(graph, sharing.threads, of_floats, sharing)


def uses_gpu(compute: str) -> bool:
    """Whether FACE_COMPUTE (auto, cpu, cuda) means a GPU here; raises InvalidSettings for one that isn't there."""
    if compute == "cpu" or (compute == "auto" and not _NVIDIA_DRIVER.exists()):
        return False
    found = _torch_finds_gpu()
    if compute == "cuda" and not found:
        raise InvalidSettings(
            "FACE_COMPUTE=cuda, but torch finds no GPU; `make setup TORCH=cuda` installs its build, as does "
            "`--build-arg TORCH=cuda` for the image."
        )
    return found


def _torch_finds_gpu() -> bool:
    if find_spec("torch") is None:  # in the image for processors, say
        return False
    import torch

    return torch.cuda.is_available()


def to_unit_length(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to length 1; bfloat16 leaves it off by up to a hundredth."""
    return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), dtype=np.float32)
