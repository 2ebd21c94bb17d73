"""The files of an embedded gallery reach the disk, whatever Edge does with them meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service.files import fsync_files


def test_a_file_that_is_renamed_meanwhile_does_not_fail_the_write(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"open-{number}").write_bytes(b"log")
    passing, final = tmp_path / "tmp-open-1", tmp_path / "open-1"
    stop = threading.Event()

    def rename() -> None:
        while not stop.is_set():
            final.rename(passing)
            passing.rename(final)

    renaming = threading.Thread(target=rename)
    renaming.start()
    try:
        for _ in range(50):
            fsync_files(tmp_path)
    finally:
        stop.set()
        renaming.join()


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fsync_files(tmp_path / "gone")
