"""facenet-pytorch's own detector, crops and network in this environment: the reference that the engine is held to."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.models.runtimes import import_facenet
from service.vision.cropping import CROP_MARGIN


@dataclass(frozen=True, slots=True)
class Reference:
    """What MTCNN finds in a photo, the largest first: boxes (n, 4), scores (n,), landmarks (n, 5, 2)."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]


def find(photo: Image.Image, kept: Path) -> Reference:
    """MTCNN with its defaults (faces of 20 pixels and more), which takes seconds for a large photo.

    The folder `kept` has the answers of former runs.
    """
    named = hashlib.sha256(f"{version('facenet-pytorch')} {version('torch')} {photo.size}".encode() + photo.tobytes())
    answer = kept / f"{named.hexdigest()}.npz"
    if not answer.exists():
        found = _find(photo)
        with tempfile.NamedTemporaryFile(dir=kept, delete=False) as half:
            np.savez(half, boxes=found.boxes, scores=found.scores, landmarks=found.landmarks)
        Path(half.name).rename(answer)
    with np.load(answer) as arrays:
        return Reference(arrays["boxes"], arrays["scores"], arrays["landmarks"])


def _find(photo: Image.Image) -> Reference:
    boxes, scores, landmarks = _mtcnn().detect(photo, landmarks=True)
    if boxes is None:
        return Reference(*(np.zeros(shape, np.float32) for shape in ((0, 4), (0,), (0, 5, 2))))
    return Reference(*(np.asarray(each, dtype=np.float32) for each in (boxes, scores, landmarks)))


def crop(photo: Image.Image, box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What extract_face cuts, (160, 160, 3)."""
    _mtcnn()
    pixels = import_facenet().extract_face(photo, box, 160, CROP_MARGIN)  # [3, 160, 160], 0 to 255
    return np.asarray(pixels.permute(1, 2, 0).byte().numpy())


def embed(weights: Path, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """InceptionResnetV1's embeddings (n, 512) of crops (n, 160, 160, 3), normalised as facenet-pytorch does it."""
    import torch

    facenet = import_facenet()
    with torch.no_grad():
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
        embeddings = _network(weights)(facenet.models.mtcnn.fixed_image_standardization(pixels))
    return np.asarray(embeddings.numpy(), dtype=np.float32)


@lru_cache(maxsize=1)
def _mtcnn() -> Any:
    facenet = import_facenet()
    torchvision = import_module("torchvision")
    if not torchvision.extension._has_ops():
        # Beside a CPU build of torch, torchvision lacks its compiled half, and MTCNN calls one function of it.
        facenet.models.utils.detect_face.batched_nms = _batched_nms
    return facenet.MTCNN(margin=CROP_MARGIN, keep_all=True)


@lru_cache(maxsize=1)
def _network(weights: Path) -> Any:
    from safetensors.torch import load_file

    network = import_facenet().InceptionResnetV1(pretrained=None).eval()
    network.load_state_dict(
        {name: each.float() if each.is_floating_point() else each for name, each in load_file(weights).items()}
    )
    return network


def _batched_nms(boxes: Any, scores: Any, classes: Any, overlap: float) -> Any:
    """torchvision's function by its definition, for boxes of one class: the best stays, what overlaps it goes."""
    import torch

    assert len(classes.unique()) <= 1, "one photo at a time"
    left, top, right, bottom = boxes.numpy().T
    area = (right - left) * (bottom - top)
    order = np.argsort(-scores.numpy(), kind="stable")
    stay = []
    while len(order):
        best, order = order[0], order[1:]
        stay.append(best)
        width = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order])
        height = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        order = order[shared / (area[best] + area[order] - shared) <= overlap]
    return torch.as_tensor(np.array(stay, dtype=np.int64))
