"""The photo sets of the benchmark: LFW faces, ordinary photos and one large JPEG; a package's where there are none."""

from __future__ import annotations

import random
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from scripts.bench.environments import BENCH

FACES = Path("../shared/faces")
"""Where face photos are looked for by default; the folder may be absent."""

_PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png"}
_SAMPLE_SEED = 20181
_LARGE_PIXELS = 20_000_000


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """Photos that are measured together, as often as `rounds` says.

    The figure that compares two pipelines is the median over photos, or the time for all of them.
    """

    name: str
    paths: list[Path]
    rounds: int
    figure: str
    """`median` or `sum`"""


def photo_sets(faces: Path, sample: int | None, large_folder: Path) -> list[PhotoSet]:
    """The sets that can be had; `sample` limits lfw_mini's photos, None takes all."""
    sets = []
    if (faces / "lfw_mini").is_dir():
        sets.append(PhotoSet("lfw_mini", _sampled(photos_below(faces / "lfw_mini"), sample), 2, "median"))
    folder = faces / "photos"
    if not folder.is_dir():
        folder = packaged_photos()
        print(f"{faces} has no photos: using those of the package face_recognition instead.", flush=True)
    sets.append(PhotoSet("photos", photos_below(folder), 3, "sum"))
    sets.append(PhotoSet("large", [enlarged(folder, large_folder)], 3, "median"))
    return sets


def photos_below(folder: Path) -> list[Path]:
    """All photos of a folder and its folders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PHOTO_SUFFIXES)


def enlarged(folder: Path, into: Path) -> Path:
    """Make a 20-megapixel JPEG, as phones take them, from the photo of `folder` with most pixels."""
    source = max((path for path in folder.iterdir() if path.is_file()), key=_pixels)
    with Image.open(source) as picture:
        scale = (_LARGE_PIXELS / (picture.width * picture.height)) ** 0.5
        size = (round(picture.width * scale), round(picture.height * scale))
        large = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    path = into / f"{source.stem}_{size[0]}x{size[1]}.jpg"
    large.save(path, quality=90)
    return path


def packaged_photos() -> Path:
    """The test photos of face_recognition's source package (MIT), fetched from PyPI once."""
    folder = BENCH / "photos"
    if folder.is_dir():
        return folder
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*pip, "--dest", temporary, "face_recognition==1.3.0"], check=True)  # noqa: S603
        (archive,) = Path(temporary).glob("*.tar.gz")
        unpacked = Path(temporary) / "unpacked"
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        (images,) = unpacked.glob("*/tests/test_images")
        # Copied beside its final place and renamed, so that a broken-off run leaves no half-filled folder.
        half = BENCH / "photos.half"
        half.mkdir(exist_ok=True)
        for photo in photos_below(images):
            (half / photo.name).write_bytes(photo.read_bytes())
        half.rename(folder)
    return folder


def _sampled(paths: list[Path], sample: int | None) -> list[Path]:
    if sample is None or sample >= len(paths):
        return paths
    return sorted(random.Random(_SAMPLE_SEED).sample(paths, sample))  # noqa: S311 - the same photos each time


def _pixels(path: Path) -> int:
    if path.suffix.lower() not in _PHOTO_SUFFIXES:
        return 0
    with Image.open(path) as picture:
        return picture.width * picture.height
