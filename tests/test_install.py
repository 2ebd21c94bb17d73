"""The set-up: what is in the lock and what of it a machine without a GPU installs."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import install

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def locked() -> list[install.Package]:
    return install.read_lock(install.LOCK.read_text())


def names(packages: Iterable[install.Package]) -> set[str]:
    return {each.name for each in packages}


def test_the_lock_holds_what_pyproject_asks_for(locked: list[install.Package]) -> None:
    """A pin changed without `make lock` shows here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = set(project["project"]["dependencies"]).union(*project["project"]["optional-dependencies"].values())
    for group in ("dev", "facenet"):
        asked.update(install.in_group(project["dependency-groups"], group))
    asked = {each.partition(";")[0] for each in asked}
    assert asked <= {each.text.split()[0] for each in locked}


def test_the_project_is_built_by_what_the_lock_has() -> None:
    """Its build backend is that of the group build, since nothing else is there when it is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == project["dependency-groups"]["build"]


def test_what_a_package_needs_comes_with_it_and_nothing_else(locked: list[install.Package]) -> None:
    """The lock's remarks on who wants whom say the same as the packages that are installed here."""
    wanted = names(install.needed(locked, {"aiohttp", "prometheus-client"}))
    assert wanted == {"prometheus-client", *requirements_of("aiohttp")}


def requirements_of(package: str) -> set[str]:
    """A package and what it needs, by the metadata of what is installed.

    On the oldest Python, that is: newer ones need no more, but the lock has it for all.
    """
    environment = {"extra": "", "python_version": "3.11", "python_full_version": "3.11.0"}
    found = {package}
    for each in map(Requirement, requires(package) or []):
        name = canonicalize_name(each.name)
        if name not in found and (each.marker is None or each.marker.evaluate(environment)):
            found |= requirements_of(name)
    return found


@pytest.mark.parametrize("extras", [[], ["redis"]])
def test_a_running_service_gets_no_torch_and_no_tools(locked: list[install.Package], extras: list[str]) -> None:
    """What the image for processors holds: neither what only converts models, nor what only developers need."""
    held = names(install.needed(locked, install.asked_for(extras, [])))
    assert {"openvino", "qdrant-client", "aiohttp", "pydantic-core"} <= held
    assert ("redis" in held) is ("redis" in extras)
    assert not held & {"torch", "torchvision", "facenet-pytorch", "sympy", "networkx", "safetensors", "requests"}
    assert not held & {"mypy", "pytest", "ruff", "hatchling", "coverage", "pre-commit", "rich", "ray"}


def test_one_can_develop_without_torch(locked: list[install.Package]) -> None:
    """`make setup TORCH=none`, for a Python for which torch has no build for processors."""
    held = names(install.needed(locked, install.asked_for([], ["dev"])))
    assert {"pytest", "mypy", "requests"} <= held
    assert not [each for each in held if each.startswith(("torch", "facenet", "nvidia", "cuda", "triton"))]


def test_an_extra_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"no extra or group of the name 'rediss'"):
        install.asked_for(["rediss"], [])


def test_a_lock_that_lacks_a_package_is_refused(locked: list[install.Package]) -> None:
    with pytest.raises(SystemExit, match=r"lacks tensorflow; make it anew: make lock"):
        install.needed(locked, {"aiohttp", "tensorflow"})


def test_a_machine_without_gpu_installs_no_cuda(locked: list[install.Package]) -> None:
    """torchvision stays; torch and everything that only its CUDA build needs goes; the rest keeps its digests."""
    without = install.without_cuda(locked)
    assert "torchvision" in names(without)
    assert not [each for each in names(without) if re.match(r"(torch|triton|cuda|nvidia)\b", each)]
    assert len(locked) - len(without) > 15
    digests = re.compile(r"\S+==.*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+(?:    # .*\n)+")
    assert [each.name for each in locked if not digests.fullmatch(each.text)] == []


def test_telemetry_is_not_in_the_lock() -> None:
    assert "openvino-telemetry==" not in install.LOCK.read_text()


def test_a_silent_index_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not install.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.process
def test_an_old_python_is_refused_by_one_sentence(tmp_path: Path) -> None:
    script = (
        "import sys; sys.version_info = (3, 9, 2); sys.argv[1:] = ['v']; from scripts import install; install.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed, this is 3.9.2")
