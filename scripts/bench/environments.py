"""The environments in which the references run: made once under .bench/, each as its users would install it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

BENCH = Path(".bench")
"""Everything that benchmark and evaluation keep: environments, photos, the references' answers."""


class CannotInstallError(Exception):
    """A reference can't be installed here; the message says why, and the benchmark goes on without it."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A package to compare with, and the pip commands that install it; none: this project's own packages are taken."""

    name: str
    package: str
    size: str
    newest_python: tuple[int, int] | None
    """The last Python that the pinned packages have wheels for; None: any."""
    installs: tuple[tuple[str, ...], ...]


FACENET_PYTORCH = Environment(
    name="facenet-pytorch",
    package="facenet-pytorch",
    size="about 5 GB, since torch 2.2.2 brings its CUDA packages",
    newest_python=(3, 12),
    installs=(("facenet-pytorch==2.6.0",),),
)
TODAYS_TORCH = Environment(
    name="facenet-pytorch on today's torch",
    package="facenet-pytorch",
    size="nothing",
    newest_python=None,
    installs=(),
)
FACE_RECOGNITION = Environment(
    name="face_recognition",
    package="face_recognition",
    size="about 260 MB",
    newest_python=None,
    # Without dependencies, because face_recognition asks for dlib, which compiles for minutes; dlib-bin is the same
    # library built. setuptools has pkg_resources, which face_recognition_models imports, up to version 80.
    installs=(
        ("numpy", "Pillow", "click", "setuptools<81"),
        ("--no-deps", "dlib-bin", "face_recognition==1.3.0", "face_recognition_models==0.3.0"),
    ),
)


def python_of(environment: Environment, bench: Path = BENCH) -> Path:
    """The interpreter of an environment, which is made when it is missing.

    Raises CannotInstallError where no fitting Python is installed or pip fails, or this project lacks the package.
    """
    if not environment.installs:
        if find_spec("facenet_pytorch") is None:
            raise CannotInstallError("this project's environment was made without torch.")
        return Path(sys.executable)
    folder = bench / environment.package
    python = folder / "bin" / "python"
    complete = folder / "complete"  # written last: an installation that broke off is made anew
    if complete.exists():
        return python
    base = _base_python(environment)
    print(f"Making {folder} ({environment.size}); this happens once.", flush=True)
    _run(base, "-m", "venv", "--clear", str(folder))
    for install in environment.installs:
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *install)
    complete.touch()
    return python


def _base_python(environment: Environment) -> str:
    """A Python that the environment's packages support: this one if it is old enough, else an installed one."""
    newest = environment.newest_python
    if newest is None or sys.version_info[:2] <= newest:
        return sys.executable
    for minor in range(newest[1], 8, -1):
        found = shutil.which(f"python3.{minor}")
        # Asked for its version too, since pyenv leaves a shim on the path for every Python, in use or not.
        if found and subprocess.run([found, "--version"], check=False, capture_output=True).returncode == 0:  # noqa: S603
            return found
    raise CannotInstallError(
        f"{environment.package} needs Python {newest[0]}.{newest[1]} or older, and none is installed."
    )


def _run(*command: str) -> None:
    finished = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own fixed commands
    if finished.returncode != 0:
        last = (finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1:]
        raise CannotInstallError(f"`{' '.join(command)}` failed: {' '.join(last)}")
