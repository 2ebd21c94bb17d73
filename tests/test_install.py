"""The set-up: what is in the lock and what of it a machine without a GPU installs."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts import install

ROOT = Path(__file__).parents[1]


def test_the_lock_holds_what_pyproject_asks_for() -> None:
    """A pin changed without `make lock` shows here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {*project["project"]["dependencies"], *project["dependency-groups"]["dev"]}
    asked = {each.partition(";")[0] for each in asked}
    locked = set(re.findall(r"^[\w.-]+==[\w.+]+", install.LOCK.read_text(), re.MULTILINE))
    assert asked <= locked


def test_a_machine_without_gpu_installs_no_cuda() -> None:
    """torchvision stays; torch and everything that only its CUDA build needs goes, digests included."""
    lock = install.LOCK.read_text()
    without = install.without_cuda(lock)
    assert "\ntorchvision==" in without
    assert not re.search(r"^(torch|triton|cuda|nvidia)[\w-]*==", without.replace("torchvision==", ""), re.MULTILINE)
    gone = lock.count("==") - without.count("==")
    assert gone > 15
    kept = re.findall(r"^\S+==.*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", without, re.MULTILINE)
    assert len(kept) == len(re.findall(r"^\S+==", without, re.MULTILINE)), (
        "a package without its digests, or the reverse"
    )


def test_telemetry_is_not_in_the_lock() -> None:
    assert "openvino-telemetry==" not in install.LOCK.read_text()


def test_a_silent_index_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not install.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/")


def test_an_old_python_is_refused_by_one_sentence(tmp_path: Path) -> None:
    script = (
        "import sys; sys.version_info = (3, 9, 2); sys.argv[1:] = ['v']; from scripts import install; install.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed, this is 3.9.2")
