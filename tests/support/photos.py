"""Real photos for the tests: from packages on PyPI, and from ../shared where that folder stands beside the project."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

FACES = ("face_recognition==1.3.0", "--no-binary=:all:", "tests/test_images/")
"""Source distribution (MIT): obama.jpg, obama2.jpg, obama3.jpg, biden.jpg, two partial faces, 32bit.png."""
SCENES = ("scikit-image==0.26.0", "--only-binary=:all:", "skimage/data/")
"""Wheel (BSD): astronaut.png has a face; chelsea.png (a cat), coffee.png and coins.png have none."""

SHARED = Path(__file__).parents[3] / "shared"


def fetch(folder: Path) -> Path:
    """Download both packages with pip, install neither, and lay their pictures side by side in `folder`."""
    done = folder / ".done"
    if not done.exists():
        for requirement, form, inside in (FACES, SCENES):
            _extract(_download(requirement, form, folder), inside, folder)
        done.touch()
    return folder


def _download(requirement: str, form: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", form, "--dest", str(folder), requirement]
    subprocess.run(command, check=True)
    name = requirement.partition("==")[0]
    return next(each for each in folder.iterdir() if each.name.replace("_", "-").startswith(name.replace("_", "-")))


def _extract(archive: Path, inside: str, folder: Path) -> None:
    """Write the pictures below the path `inside` of a wheel or a source distribution flat into `folder`."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            contents = {name: wheel.read(name) for name in wheel.namelist() if inside in name}
    else:
        with tarfile.open(archive) as tar:
            members = [each for each in tar if each.isfile() and inside in each.name]
            contents = {each.name: stream.read() for each in members if (stream := tar.extractfile(each))}
    for name, content in contents.items():
        if name.endswith((".jpg", ".png")):
            (folder / Path(name).name).write_bytes(content)
    archive.unlink()
