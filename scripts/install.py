"""Makes the virtual environment and installs requirements.lock into it, with the build of torch that suits the machine.

    python3 scripts/install.py [--torch auto|cpu|cuda] .venv

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
from pathlib import Path

OLDEST = (3, 11)
LOCK = Path(__file__).parents[1] / "requirements.lock"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE_SECONDS = 3.0
ONLY_CUDA = re.compile(r"(torch|triton|nvidia-.*|cuda-.*)==")  # torchvision is of use without CUDA as well


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("venv", type=Path, help="folder of the environment, made if it doesn't exist")
    arguments.add_argument("--torch", choices=("auto", "cpu", "cuda"), default="auto", help="build of torch")
    chosen = arguments.parse_args()

    python = make_environment(chosen.venv)
    wants_cpu = chosen.torch == "cpu" or (chosen.torch == "auto" and not has_nvidia_gpu())
    lock = LOCK.read_text()
    cpu_torch = wants_cpu and sys.platform == "linux" and install_cpu_torch(python, lock)  # elsewhere PyPI's is for CPU
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(without_cuda(lock) if cpu_torch else lock)
        if not pip_install(python, "--require-hashes", "-r", str(requirements)):
            sys.exit("Installing failed; pip's lines above say why. Run the same command again to go on.")


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
    return bool(shutil.which("nvidia-smi")) or Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia").exists()


def install_cpu_torch(python: Path, lock: str) -> bool:
    """Install the CPU build of the lock's torch; False where none can be had."""
    version = re.search(r"^torch==([\w.]+)", lock, re.MULTILINE)
    if version is None:
        sys.exit(f"{LOCK.name} names no torch; make it anew: make lock")
    torch = f"torch=={version[1]}+cpu"
    index = ["--extra-index-url", TORCH_CPU_INDEX] if answers(TORCH_CPU_INDEX + "/torch/") else []
    print(f"No NVIDIA GPU is in use: installing {torch}.", flush=True)
    if pip_install(python, *index, torch):
        return True
    print("No CPU build of torch can be had: installing PyPI's build with its CUDA packages, gigabytes.", flush=True)
    return False


def without_cuda(lock: str) -> str:
    """The lock less torch and what only its CUDA build needs; a package's digests are the indented lines below it."""
    kept = []
    keep = True
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            keep = ONLY_CUDA.match(line) is None
        if keep:
            kept.append(line)
    return "".join(kept)


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
    return subprocess.run(command, stdout=stdout).returncode == 0  # noqa: S603 - the arguments are this file's own


if __name__ == "__main__":
    main()
