"""The command `python -m service quantize PHOTOS`: makes and measures the int8 FaceNet that FACE_PRECISION=int8 uses.

Only weights of your own (FACE_WEIGHTS) need it: the published ones run in int8 without. PHOTOS is a folder of face
photos, searched through all its folders. Their faces, one of each, tell which range the network's activations have; 300
are enough. Others are kept back, and on them int8 is compared with float32: cosines of the embeddings, milliseconds,
and, where folders are named after the people in them (20 people with two photos or more), accuracy. The model and its
place are those of the FACE_* settings.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from service.commands.precision import accuracy_table, cosines, speed_table
from service.errors import FaceNotFound, InvalidImage, InvalidSettings, ModelUnavailable
from service.gallery.choices import one_face
from service.models import selection
from service.models.quantization import quantize
from service.models.runtimes import has_bf16
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.values import Rgb
from service.vision.detector import Detector
from service.vision.embedder import Crops, OpenVinoEmbedder
from service.vision.preparation import Limits, Preparation

LEAST_FACES = 50
LEAST_COSINE = 0.98
"""Median cosine to float32 below which the int8 model is not kept; ours have 0.9997."""

_MOST_CHECKED = 1000
"""Faces kept back for measuring, at most."""
_PER_FOLDER = 4
"""Photos taken from a folder before every other folder had its turn."""
_SEED = 20180


@dataclass(slots=True)
class FaceSample:
    """The largest usable face of each photo, and how many photos were skipped, by the reason."""

    crops: list[Rgb] = field(default_factory=list)
    people: list[str | None] = field(default_factory=list)
    """The name of the folder that the photo lies in, None for PHOTOS itself."""
    skipped: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        skipped = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
        return f"{len(self.crops)} usable faces" + (f" (skipped files: {skipped})" if skipped else "")


def describe(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `quantize` its arguments."""
    parser.description = (__doc__ or "").partition("\n\n")[2]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of face photos")
    parser.add_argument("--crops", type=int, default=300, help="faces to calibrate with (%(default)s)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Quantize, measure and print; the exit status.

    Raises InvalidSettings where there is no such folder, FaceNotFound for too few faces in it, ModelUnavailable where
    the model is missing, and where int8 is too far from float32.
    """
    if options.crops < 1:
        raise InvalidSettings("--crops must be 1 or more.")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    files = selection.prepare(settings, kept=None)
    print(f"Searching {options.photos} for faces …", flush=True)
    sample = collect_faces(options.photos, files, settings, options.crops + _MOST_CHECKED)
    print(f"{sample}.", flush=True)
    make_int8(files, sample, crops=options.crops, threads=model_threads(settings))
    print(f"\nThe int8 model of {files.contract.model} is in {files.facenet_int8.parent}; FACE_PRECISION=int8 uses it.")
    return 0


def collect_faces(folder: Path, files: ModelFiles, settings: Settings, most: int) -> FaceSample:
    """Up to `most` faces as the service would see them, from as many folders as possible.

    Raises InvalidSettings where there is no such folder, FaceNotFound for fewer than LEAST_FACES.
    """
    if not folder.is_dir():
        raise InvalidSettings(f"{folder} is not a folder; name one with face photos.")
    threads = model_threads(settings)
    detector = Detector(files, threads=threads, min_face=settings.min_face, min_share=settings.min_share)
    preparation, choose = Preparation(detector, Limits.of(settings)), one_face(settings)
    sample = FaceSample()
    seen: set[bytes] = set()
    for path in _spread(path for path in folder.rglob("*") if path.is_file()):
        if len(sample.crops) == most:
            break
        try:
            photo = path.read_bytes() if path.stat().st_size <= settings.max_bytes else b""
            crops = preparation.prepare(photo, choose, Timings()).crops
        except (InvalidImage, OSError):
            sample.skipped["unreadable or too large"] += 1
            continue
        digest = hashlib.sha256(photo).digest()
        if not crops:
            sample.skipped["without a usable face"] += 1
        elif digest in seen:  # a copy would be calibrated with and measured
            sample.skipped["twice there"] += 1
        else:
            seen.add(digest)
            sample.crops += crops
            sample.people.append(None if path.parent == folder else path.parent.name)
    if len(sample.crops) < LEAST_FACES:
        raise FaceNotFound(f"{folder} has {sample}; quantization needs {LEAST_FACES} or more, better 1,000.")
    return sample


def make_int8(files: ModelFiles, sample: FaceSample, *, crops: int, threads: int) -> None:
    """Replace the model's int8 graph by one calibrated on `crops` of the faces, half of them at most, and print how it
    does on the others.

    Raises ModelUnavailable where it is too far off or can't be written; what was there before then stays.
    """
    order = random.Random(_SEED).sample(range(len(sample.crops)), len(sample.crops))  # noqa: S311 - the same each time
    size = min(crops, len(order) // 2)
    calibration = np.stack([sample.crops[index] for index in order[:size]])
    checked = np.stack([sample.crops[index] for index in order[size:]])
    people = [sample.people[index] for index in order[size:]]
    print(f"Calibrating with {size} of them …", flush=True)
    quantize(files, calibration, threads, check=lambda int8: measure(files.facenet, int8, checked, people, threads))


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
