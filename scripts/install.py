"""Makes a virtual environment and installs into it what of requirements.lock is wanted.

    python3 scripts/install.py [--torch auto|cpu|cuda|none] [--extra NAME]... [--group NAME]... [--editable] VENV

`make setup` installs the group dev and, with --editable, the project itself as it lies here; the Dockerfile leaves out
what a running service has no use for.

The lock names every package with its digests, among them torch and the gigabytes of CUDA packages that its Linux build
needs. Without an NVIDIA GPU those are left out, and the CPU build of the same version of torch is installed instead. It
comes from PyTorch's own index if that answers, or from wherever the user's pip configuration finds it; the lock can't
know its digest, so that its version alone is checked. Only where there is none, all of the lock is installed.

This file runs on the machine's own Python, before anything is installed, and must at least load on an old one.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE_SECONDS = 3.0
ONLY_CUDA = re.compile(r"(torch|triton|nvidia-.*|cuda-.*)")  # torchvision is of use without CUDA as well
WANTED_BY = re.compile(r"^    # (?:via |  )([\w.-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """A package of the lock: its lines there, digests included, and the names of those that need it."""

    name: str
    text: str
    wanted_by: frozenset[str]


def main() -> None:
    """Read the command line, and install what it asks for."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("venv", type=Path, help="folder of the environment, made if it doesn't exist")
    arguments.add_argument(
        "--torch",
        choices=("auto", "cpu", "cuda", "none"),
        default="auto",
        help="build of torch; auto looks for an NVIDIA GPU, and a service whose models are converted needs none",
    )
    arguments.add_argument("--extra", action="append", default=[], help="an optional dependency, like redis")
    arguments.add_argument("--group", action="append", default=[], help="a dependency group, like dev")
    arguments.add_argument("--editable", action="store_true", help="install the project itself, as it lies here")
    chosen = arguments.parse_args()

    python = make_environment(chosen.venv)
    torch = chosen.torch
    if torch == "auto":
        torch = "cuda" if has_nvidia_gpu() else "cpu"
    if torch != "none":  # facenet-pytorch is what torch is for
        chosen.extra.append("torch")
        chosen.group.append("facenet")
    packages = needed(read_lock(LOCK.read_text()), asked_for(chosen.extra, chosen.group))
    # Elsewhere than on Linux, PyPI's build is one for processors.
    if torch == "cpu" and sys.platform == "linux" and install_cpu_torch(python, packages):
        packages = without_cuda(packages)
    install(python, packages)
    if chosen.editable:
        install_project(python)


def asked_for(extras: Iterable[str], groups: Iterable[str]) -> set[str]:
    """Names of the packages that pyproject.toml lists: dependencies, and these extras and groups.

    Exits with one sentence where one is not in it.
    """
    import tomllib  # an old Python has none, and is refused before

    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    requirements = list(pyproject["project"]["dependencies"])
    try:
        for extra in extras:
            requirements += pyproject["project"]["optional-dependencies"][extra]
        for group in groups:
            requirements += in_group(pyproject["dependency-groups"], group)
    except KeyError as error:
        sys.exit(f"pyproject.toml has no extra or group of the name {error}.")
    return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}


def in_group(groups: Mapping[str, Sequence[str | dict[str, str]]], name: str) -> list[str]:
    """The requirements of a dependency group and of those that it includes."""
    requirements: list[str] = []
    for each in groups[name]:
        requirements += [each] if isinstance(each, str) else in_group(groups, each["include-group"])
    return requirements


def read_lock(lock: str) -> list[Package]:
    """The packages of a lock that uv wrote; the indented lines below a package's name belong to it."""
    texts = re.split(r"^(?=[^\s#])", lock, flags=re.MULTILINE)[1:]
    return [Package(text.partition("==")[0], text, frozenset(WANTED_BY.findall(text))) for text in texts]


def needed(packages: Sequence[Package], names: set[str]) -> list[Package]:
    """Of the packages those of these names and what they need in turn; exits where the lock lacks one."""
    missing = names - {each.name for each in packages}
    if missing:
        sys.exit(f"{LOCK.name} lacks {', '.join(sorted(missing))}; make it anew: make lock")
    found: set[str] = set()
    while names - found:
        found |= names
        names = {each.name for each in packages if each.wanted_by & found}
    return [each for each in packages if each.name in found]


def without_cuda(packages: Iterable[Package]) -> list[Package]:
    """The packages less torch and what only its CUDA build needs."""
    return [each for each in packages if not ONLY_CUDA.fullmatch(each.name)]


def make_environment(venv: Path) -> Path:
    """The environment's interpreter; exits with one sentence where Python is too old or without venv."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python 3.11 or newer is needed, this is {found}; name another one: make setup PYTHON=python3.12")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"This Python lacks its venv module; on Debian and Ubuntu: sudo apt install python{version}-venv")
    python = venv / "bin" / "python"
    if not runs(python):
        print(f"Making {venv} with Python {sys.version.split()[0]}.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)  # noqa: S603 - as below
    return python


def runs(python: Path) -> bool:
    """Whether an environment is there and whole: killed half-way, or after an update of Python, it is neither."""
    return python.exists() and succeeds([str(python), "-m", "pip", "--version"], stdout=subprocess.DEVNULL)


def has_nvidia_gpu() -> bool:
    """Whether the machine shows one, or NVIDIA's driver."""
    return bool(shutil.which("nvidia-smi")) or Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia").exists()


def install_cpu_torch(python: Path, packages: Iterable[Package]) -> bool:
    """Install the CPU build of the lock's torch; False where none can be had."""
    [locked] = [each.text.split()[0] for each in packages if each.name == "torch"]
    torch = f"{locked}+cpu"
    index = ["--extra-index-url", TORCH_CPU_INDEX] if answers(TORCH_CPU_INDEX + "/torch/") else []
    print(f"No NVIDIA GPU is in use: installing {torch}.", flush=True)
    if pip_install(python, *index, torch):
        return True
    print("No CPU build of torch can be had: installing PyPI's build with its CUDA packages, gigabytes.", flush=True)
    return False


def install(python: Path, packages: Iterable[Package]) -> None:
    """Install these packages and check their digests; exits where that fails."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(each.text for each in packages))
        if not pip_install(python, "--require-hashes", "-r", str(requirements)):
            sys.exit("Installing failed; pip's lines above say why. Run the same command again to go on.")


def install_project(python: Path) -> None:
    """Install the project so that its code is read where it lies, and its commands are in the environment's bin."""
    if not pip_install(python, "--quiet", "--no-build-isolation", "--editable", str(ROOT)):
        sys.exit("Installing the project itself failed; pip's lines above say why.")


def answers(url: str) -> bool:
    """Whether the host answers within PROBE_SECONDS, the look-up of its name included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_SECONDS):  # noqa: S310
                answered.set()
        except (OSError, ValueError):
            pass  # not answered

    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(PROBE_SECONDS)


def pip_install(python: Path, *what: str) -> bool:
    """Run pip with its progress bars, without dependencies: the lock is complete, facenet-pytorch's pins are old."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-warn-script-location"]
    return succeeds([str(python), "-m", "pip", "install", *options, *what])


def succeeds(command: list[str], stdout: int | None = None) -> bool:
    """Whether a command ends with status 0."""
    return subprocess.run(command, check=False, stdout=stdout).returncode == 0  # noqa: S603 - the arguments are this file's own


if __name__ == "__main__":
    main()
