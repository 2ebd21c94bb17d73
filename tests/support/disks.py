"""Small disks of a test's own, which others can fill."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(*words: str) -> bool:
    """Whether that could be mounted."""
    command = ["mount", *words]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size at a new folder; the test is skipped where it may mount none."""
    folder.mkdir()
    if shutil.which("mount") is None or not mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)):
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def take_the_rest(disk: Path) -> Path:
    """As another program may; the file that does."""
    taken = disk / "another"
    with taken.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 2**20):
                pass
        except OSError:
            pass
    assert shutil.disk_usage(disk).free < 2**20
    return taken
