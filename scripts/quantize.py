"""Makes the int8 FaceNet that FACE_PRECISION=int8 uses, and measures what it costs and gains on this machine.

    python -m scripts.quantize PHOTOS

PHOTOS is a folder of your own face photos, searched through all its folders. Its largest faces tell NNCF's
post-training quantization which range the network's activations have; 300 are enough. Others are kept back, and
on them int8 is compared with float32: cosines of the embeddings, milliseconds, and, where folders are named after
the people in them (20 people with two photos or more), accuracy. The model and its place are those of the FACE_*
settings. It needs NNCF, which the service does not: `.venv/bin/pip install nncf==3.4.0`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import logging
import os
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from scripts.bench.precision import accuracy_table, cosines, has_bf16, speed_table
from service.errors import FaceNotFound, FaceServiceError, InvalidImage, InvalidSettings, ModelUnavailable
from service.models import selection
from service.models.runtimes import import_openvino
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.values import Rgb
from service.vision.detector import Detector, crop
from service.vision.embedder import Crops, OpenVinoEmbedder
from service.vision.images import decode, readable_formats

NNCF = "nncf==3.4.0"
LEAST_FACES = 50
LEAST_COSINE = 0.98
"""Median cosine to float32 below which the int8 model is not kept; ours have 0.998."""

_CHECKED = 1000
"""Faces kept back for measuring, at most."""
_PER_FOLDER = 4
"""Photos taken from a folder before every other folder had its turn."""
_SEED = 20180


@dataclass(slots=True)
class Faces:
    """The largest usable face of each photo, and how many photos were skipped, by the reason."""

    crops: list[Rgb] = field(default_factory=list)
    people: list[str | None] = field(default_factory=list)
    """The name of the folder that the photo lies in, None for PHOTOS itself."""
    skipped: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        skipped = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
        return f"{len(self.crops)} usable faces" + (f" (skipped files: {skipped})" if skipped else "")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Quantize, measure and print; exits with one sentence on an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of face photos")
    parser.add_argument("--crops", type=int, default=300, help="faces to calibrate with (%(default)s)")
    options = parser.parse_args(arguments)
    if options.crops < 1:
        parser.error("--crops must be 1 or more.")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        settings = Settings.from_env(environ)
        nncf = import_nncf()
        files = selection.prepare(settings, kept=None)
        print(f"Looking for faces in {options.photos} …", flush=True)
        faces = find_faces(options.photos, files, settings, options.crops + _CHECKED)
        print(f"{faces}.", flush=True)
        quantize(nncf, files, faces, options.crops, model_threads(settings))
    except FaceServiceError as error:
        sys.exit(str(error))
    print(f"\nThe int8 model of {files.contract.model} is in {files.facenet_int8.parent}; FACE_PRECISION=int8 uses it.")


def import_nncf() -> ModuleType:
    """NNCF, without the telemetry that it and OpenVINO would send. Raises ModelUnavailable where it isn't installed."""
    if importlib.util.find_spec("nncf") is None:
        raise ModelUnavailable(f"Quantization needs NNCF; install it with `.venv/bin/pip install {NNCF}`.")
    import_openvino()  # first: it marks openvino_telemetry as missing, upon which NNCF too uses an empty stand-in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        nncf = importlib.import_module("nncf")
    nncf.set_log_level(logging.ERROR)
    return nncf


def find_faces(folder: Path, files: ModelFiles, settings: Settings, most: int) -> Faces:
    """Up to `most` faces as the service would see them, from as many folders as possible.

    Raises InvalidSettings where there is no such folder, FaceNotFound for fewer than LEAST_FACES.
    """
    if not folder.is_dir():
        raise InvalidSettings(f"{folder} is not a folder; name one with face photos.")
    threads = model_threads(settings)
    detector = Detector(files, threads=threads, min_face=settings.min_face, min_share=settings.min_share)
    faces = Faces()
    seen: set[bytes] = set()
    for path in _spread(path for path in folder.rglob("*") if path.is_file()):
        if len(faces.crops) == most:
            break
        try:
            photo = path.read_bytes() if path.stat().st_size <= settings.max_bytes else b""
            face = _largest_face(photo, detector, settings)
        except (InvalidImage, OSError):
            faces.skipped["unreadable or too large"] += 1
            continue
        digest = hashlib.sha256(photo).digest()
        if face is None:
            faces.skipped["without a usable face"] += 1
        elif digest in seen:  # a copy would be calibrated with and measured
            faces.skipped["twice there"] += 1
        else:
            seen.add(digest)
            faces.crops.append(face)
            faces.people.append(None if path.parent == folder else path.parent.name)
    if len(faces.crops) < LEAST_FACES:
        raise FaceNotFound(f"{folder} has {faces}; quantization needs {LEAST_FACES} or more, better 1,000.")
    return faces


def quantize(nncf: ModuleType, files: ModelFiles, faces: Faces, crops: int, threads: int) -> None:
    """Replace the model's int8 graph by one calibrated on `crops` of the faces, half of them at most, and print how it
    does on the others.

    Raises ModelUnavailable where it is too far off or can't be written; what was there before then stays.
    """
    order = random.Random(_SEED).sample(range(len(faces.crops)), len(faces.crops))  # noqa: S311 - the same each time
    size = min(crops, len(order) // 2)
    calibration = np.stack([faces.crops[index] for index in order[:size]])
    checked = np.stack([faces.crops[index] for index in order[size:]])
    people = [faces.people[index] for index in order[size:]]
    print(f"Quantizing with {size} of them, which takes minutes …", flush=True)
    graph = int8_of(nncf, files.facenet, calibration)

    def make(folder: Path) -> None:
        path = folder / files.facenet_int8.name
        import_openvino().save_model(graph, path, compress_to_fp16=False)
        measure(files.facenet, path, checked, people, threads)

    try:
        selection.keep_int8_graph(files, make)
    except OSError as error:
        raise ModelUnavailable(f"The int8 model can't be kept in {files.facenet_int8.parent} ({error}).") from error


def int8_of(nncf: ModuleType, facenet: Path, crops: Crops) -> Any:
    """The float32 graph in int8, an openvino.Model with the same ports and shapes."""
    return nncf.quantize(
        import_openvino().Core().read_model(facenet),
        nncf.Dataset([each[None] for each in crops]),
        preset=nncf.QuantizationPreset.MIXED,  # activations asymmetric: most follow a ReLU
        subset_size=len(crops),
    )


def measure(facenet: Path, int8: Path, crops: Crops, people: Sequence[str | None], threads: int) -> None:
    """Print accuracy and speed of all precisions; raises ModelUnavailable where int8 is too far from float32."""
    embedders = {"f32": OpenVinoEmbedder(facenet, threads, "f32")}
    if has_bf16():
        embedders["bf16"] = OpenVinoEmbedder(facenet, threads, "bf16")
    embedders["int8"] = OpenVinoEmbedder(int8, threads)
    embeddings = {name: each.embed(crops) for name, each in embedders.items()}
    print(f"\nOn faces that it was not calibrated with:\n\n{accuracy_table(embeddings, people)}\n", flush=True)
    median = float(np.median(cosines(embeddings["int8"], embeddings["f32"])))
    if median < LEAST_COSINE:
        raise ModelUnavailable(
            f"The int8 model is too far from float32 (median cosine {median:.3f}, at least {LEAST_COSINE} is needed) "
            "and is not kept; use more photos, like those that the service will see."
        )
    print(speed_table(embedders, crops), flush=True)


def _largest_face(photo: bytes, detector: Detector, settings: Settings) -> Rgb | None:
    """Its crop, as the service would cut it for an enrolment; raises InvalidImage."""
    picture = decode(photo, max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, formats=readable_formats())
    detections = detector.detect(np.asarray(picture))
    return next((crop(picture, each.box) for each in detections if each.score >= settings.min_score), None)


def _spread(paths: Iterable[Path]) -> list[Path]:
    """In random order, but some of every folder first, and those that are alone in theirs behind."""
    shuffled = sorted(paths)
    random.Random(_SEED).shuffle(shuffled)  # noqa: S311 - the same order each time
    size = Counter(path.parent for path in shuffled)
    first = {folder: index for index, folder in enumerate(size)}
    taken: Counter[Path] = Counter()
    place = {}
    for path in shuffled:
        place[path] = (taken[path.parent] // _PER_FOLDER, size[path.parent] == 1, first[path.parent])
        taken[path.parent] += 1
    return sorted(shuffled, key=place.__getitem__)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
