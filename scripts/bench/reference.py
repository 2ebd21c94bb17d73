"""What users would pick instead of this service, measured in an environment of its own.

Started by `make bench` and `make evaluate`, through pipelines.py.
Reads one photo's path a line from standard input and answers each with one line of JSON on standard output:

    {"path", "width", "height", "boxes", "probabilities", "landmarks", "embeddings", "milliseconds"}

`embeddings` are base64 of little-endian float32; `milliseconds` has decode, detect (with the crops), embed and total,
from the photo's bytes in memory. The first line tells the packages' versions; a photo that fails gives
{"path", "error"}.

It imports nothing of ours, because the environments hold the pinned packages of facenet-pytorch 2.6.0 or of
face_recognition 1.3.0 only, as pip installs them, or this project's own; each runs one photo at a time with its own
defaults.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import importlib.metadata
import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Picture = Image.Image
Pipeline = Callable[[Picture], "tuple[Faces, float, float]"]
"""A decoded photo → its faces, milliseconds of detection, milliseconds of embedding."""

_SAFETENSORS_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}


@dataclass
class Faces:
    """The faces of a photo, largest first; boxes are left, top, right, bottom in pixels of the upright photo."""

    boxes: list[list[float]]
    probabilities: list[float] | None
    landmarks: list[list[list[float]]] | None
    embeddings: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", choices=["facenet-pytorch", "face_recognition"])
    parser.add_argument("--weights", type=Path, help="InceptionResnetV1's state_dict: .safetensors or torch's format")
    parser.add_argument("--threads", type=int, default=0, help="threads of torch; 0 leaves its own default")
    options = parser.parse_args()
    if options.package == "facenet-pytorch":
        pipeline, versions = facenet_pytorch_pipeline(options.weights, options.threads)
    else:
        pipeline, versions = face_recognition_pipeline()
    _say({"versions": versions})
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            _say(measure(path, pipeline))
        except Exception as error:  # noqa: BLE001 - the reference's own limits are part of what is measured
            _say({"path": path, "error": repr(error)})


def measure(path: str, pipeline: Pipeline) -> dict[str, Any]:
    """Run one photo from bytes to embeddings and time its stages."""
    content = Path(path).read_bytes()
    started = time.perf_counter()
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    decode = _milliseconds_since(started)
    faces, detect, embed = pipeline(picture)
    total = _milliseconds_since(started)
    milliseconds = {"decode": decode, "detect": detect, "embed": embed, "total": total}
    size = {"width": picture.width, "height": picture.height}
    rounded = {stage: round(value, 3) for stage, value in milliseconds.items()}
    return {"path": path, **size, **asdict(faces), "milliseconds": rounded}


def facenet_pytorch_pipeline(weights: Path, threads: int) -> tuple[Pipeline, dict[str, str]]:
    """MTCNN with its defaults and margin 14, then InceptionResnetV1 on all faces of the photo at once."""
    torch = importlib.import_module("torch")
    suppression = _supply_suppression(torch)
    package = importlib.import_module("facenet_pytorch")
    if threads:
        torch.set_num_threads(threads)
    mtcnn = package.MTCNN(margin=14, keep_all=True)
    network = package.InceptionResnetV1(pretrained=None).eval()
    network.load_state_dict(_state_dict(weights, torch))

    def pipeline(picture: Picture) -> tuple[Faces, float, float]:
        started = time.perf_counter()
        boxes, probabilities, landmarks = mtcnn.detect(picture, landmarks=True)
        if boxes is None:
            return Faces([], [], [], []), _milliseconds_since(started), 0.0
        crops = mtcnn.extract(picture, boxes, None)
        detect = _milliseconds_since(started)
        started = time.perf_counter()
        with torch.no_grad():
            vectors = network(crops).numpy()
        embed = _milliseconds_since(started)
        found = [np.asarray(each, dtype=np.float64).tolist() for each in (boxes, probabilities, landmarks)]
        return Faces(found[0], found[1], found[2], [_base64(vector) for vector in vectors]), detect, embed

    versions = {name: importlib.metadata.version(name) for name in ("facenet-pytorch", "torch", "numpy", "Pillow")}
    return pipeline, versions | {"threads": str(torch.get_num_threads())} | suppression


def _supply_suppression(torch: Any) -> dict[str, str]:
    """Non-maximum suppression in numpy where torchvision's build is for CUDA and torch's is not; says so.

    PyPI has no other build of torchvision, and beside a torch for processors its operators can't be loaded.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # what the failed import left behind
        for operator in ("nms", "qnms"):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", schema)

        def suppress(boxes: Any, scores: Any, most_overlap: float) -> Any:
            return torch.from_numpy(_suppress(boxes.numpy(), scores.numpy(), most_overlap))

        torch.library.impl("torchvision::nms", "CPU")(suppress)
        extension = importlib.import_module("torchvision.extension")
        extension._has_ops = lambda: True  # type: ignore[attr-defined]  # noqa: SLF001 - those that are called it has now
        return {"non-maximum suppression": "in numpy"}
    return {}


def _suppress(boxes: Any, scores: Any, most_overlap: float) -> Any:
    """Indices of the boxes (n, 4) that overlap no likelier one by more, the likeliest first."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        first, others = order[0], order[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[others, :2])
        high = np.minimum(boxes[first, 2:], boxes[others, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = others[shared <= most_overlap * (areas[first] + areas[others] - shared)]
    return np.array(kept, dtype=np.int64)


def face_recognition_pipeline() -> tuple[Pipeline, dict[str, str]]:
    """dlib's HOG detector and 128-number embeddings through face_recognition, with its defaults."""
    package = importlib.import_module("face_recognition")

    def pipeline(picture: Picture) -> tuple[Faces, float, float]:
        started = time.perf_counter()
        pixels = np.array(picture)
        places = package.face_locations(pixels)
        places.sort(key=lambda place: (place[2] - place[0]) * (place[1] - place[3]), reverse=True)
        detect = _milliseconds_since(started)
        started = time.perf_counter()
        vectors = package.face_encodings(pixels, places)
        embed = _milliseconds_since(started)
        boxes = [[float(left), float(top), float(right), float(bottom)] for top, right, bottom, left in places]
        return Faces(boxes, None, None, [_base64(vector) for vector in vectors]), detect, embed

    versions = {name: importlib.metadata.version(name) for name in ("face_recognition", "dlib-bin", "numpy", "Pillow")}
    return pipeline, versions


def _state_dict(weights: Path, torch: Any) -> dict[str, Any]:
    """The network's float32 tensors, without the logits layer of training."""
    if weights.suffix == ".safetensors":
        tensors = {name: torch.from_numpy(array) for name, array in _read_safetensors(weights).items()}
    else:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("logits.")}
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in kept.items()}


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Read a safetensors file without its package: a length, a JSON header and the arrays' bytes."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        low, high = (start + offset for offset in entry["data_offsets"])
        flat = np.frombuffer(bytearray(content[low:high]), dtype=_SAFETENSORS_TYPES[entry["dtype"]])
        arrays[name] = flat.reshape(entry["shape"])
    return arrays


def _base64(vector: Any) -> str:
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
