"""How many processors count as ours, under an affinity and in control groups of both versions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.processors import model_threads, usable_processors
from service.settings import Settings
from tests.support.processes import ROOT

HERE = len(os.sched_getaffinity(0))


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.mark.process
def test_an_affinity_counts() -> None:
    """As `taskset` sets it, whatever the machine has."""
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from service.processors import usable_processors; print(usable_processors())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("limit", "processors"),
    [("100000 100000", 1), ("50000 100000", 1), ("1000 100000", 1), ("99999999 100000", HERE), ("max 100000", HERE)],
)
def test_a_limit_of_cgroup_v2_counts(tmp_path: Path, limit: str, processors: int) -> None:
    """A container's own group is named `/` inside of it."""
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": limit})
    assert usable_processors(tmp_path) == processors


@pytest.mark.skipif(HERE < 2, reason="needs two processors")
def test_a_part_of_a_processor_is_rounded_up(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "110000 100000"})
    assert usable_processors(tmp_path) == 2


def test_a_limit_of_a_group_further_up_counts(tmp_path: Path) -> None:
    """As of a systemd slice with CPUQuota, whose services have no limit of their own."""
    groups = "sys/fs/cgroup/system.slice"
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/face.service",
            f"{groups}/face.service/cpu.max": "max 100000",
            f"{groups}/cpu.max": "100000 100000",
        },
    )
    assert usable_processors(tmp_path) == 1


@pytest.mark.parametrize(("quota", "processors"), [("20000", 1), ("-1", HERE)])
@pytest.mark.parametrize("group", ["/", "/docker/0123abcd"])
def test_a_limit_of_cgroup_v1_counts(tmp_path: Path, quota: str, processors: int, group: str) -> None:
    """Also where the group is named as the host names it, and its folder isn't there."""
    write(
        tmp_path,
        {
            "proc/self/cgroup": f"12:memory:{group}\n4:cpu,cpuacct:{group}\n1:name=systemd:{group}\n0::{group}",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota,
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert usable_processors(tmp_path) == processors


@pytest.mark.parametrize("text", ["", "max", "1 2 3", "many 100000", "100000 0"])
def test_a_limit_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": text})
    assert usable_processors(tmp_path) == HERE


def test_a_machine_without_control_groups_has_its_processors(tmp_path: Path) -> None:
    assert usable_processors(tmp_path) == HERE


def test_face_threads_says_otherwise() -> None:
    assert model_threads(Settings(threads=7)) == 7
    assert model_threads(Settings()) == usable_processors()


def test_nobody_else_counts_processors() -> None:
    """os.cpu_count knows neither an affinity nor a container's limit."""
    for folder in ("service", "indexer", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            assert path.name == "processors.py" or "cpu_count" not in path.read_text("utf-8"), path
