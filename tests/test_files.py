"""Locks keep other processes out, and files reach the disk whole, whatever else happens."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service.files import fsync_files, lock, locked, make_private_folder, open_lock, open_private, replace_file
from tests.support.processes import ROOT

HOLD = """
import sys, time
from pathlib import Path
from service.files import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(path: Path, seconds: float) -> subprocess.Popen[bytes]:
    """Another process that has the lock for so long."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    process.stdout.close()
    return process


class TestLocks:
    @pytest.mark.parametrize("name", ["folder", "file"])
    def test_a_lock_is_waited_for(self, tmp_path: Path, name: str) -> None:
        """Of a folder as of a file, which is made; whoever waits can say so, once."""
        (tmp_path / "folder").mkdir()
        waits: list[str] = []
        with holder(tmp_path / name, 0.3) as process:
            begin = time.monotonic()
            with locked(tmp_path / name, on_wait=lambda: waits.append("waiting")):
                assert time.monotonic() - begin > 0.1
        assert process.returncode == 0
        assert waits == ["waiting"]

    def test_a_free_lock_is_not_waited_for(self, tmp_path: Path) -> None:
        waits: list[str] = []
        with locked(tmp_path / "file", on_wait=lambda: waits.append("waiting")):
            assert waits == []

    def test_waiting_ends_at_the_limit(self, tmp_path: Path) -> None:
        """And not before: a holder that leaves in time makes room."""
        descriptor = open_lock(tmp_path / "file")
        with holder(tmp_path / "file", 0.5):
            with pytest.raises(BlockingIOError):
                lock(descriptor)
            with pytest.raises(BlockingIOError):
                lock(descriptor, limit_s=0.1)
            lock(descriptor, limit_s=10)
        os.close(descriptor)

    def test_a_killed_process_has_no_lock(self, tmp_path: Path) -> None:
        with holder(tmp_path / "file", 60) as process:
            process.kill()
            with locked(tmp_path / "file"):
                pass


def test_private_folders_and_files(tmp_path: Path) -> None:
    """What is made is its owner's alone, whatever the umask; what is there keeps its rights."""
    (tmp_path / "there").mkdir(mode=0o755)
    umask = os.umask(0o002)
    try:
        make_private_folder(tmp_path / "there" / "a" / "b")
        make_private_folder(tmp_path / "there" / "a" / "b")
        with open(tmp_path / "there" / "file", "w", opener=open_private) as file:
            file.write("x")
    finally:
        os.umask(umask)
    modes = {name: (tmp_path / "there" / name).stat().st_mode & 0o777 for name in ("", "a", "a/b", "file")}
    assert modes == {"": 0o755, "a": 0o700, "a/b": 0o700, "file": 0o600}
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "there" / "file")


class TestReplacing:
    def test_a_new_file_has_the_rights_asked_for(self, tmp_path: Path) -> None:
        replace_file(tmp_path / "file", "安", new_mode=0o600)
        assert (tmp_path / "file").read_text("utf-8") == "安"
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600

    def test_a_file_keeps_its_rights(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "file").chmod(0o640)
        replace_file(tmp_path / "file", "new", new_mode=0o600)
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640

    def test_what_fails_the_check_changes_nothing(self, tmp_path: Path) -> None:
        """The check sees the whole draft, and nothing is left of it."""
        (tmp_path / "file").write_text("old")

        def check(draft: Path) -> None:
            raise ValueError(draft.read_text())

        with pytest.raises(ValueError, match=r"^new$"):
            replace_file(tmp_path / "file", "new", check=check)
        assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]

    def test_what_a_killed_process_left_is_no_obstacle(self, tmp_path: Path) -> None:
        (tmp_path / "file.new").write_text("half")
        replace_file(tmp_path / "file", "new")
        assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]


class TestWaitingForTheDisk:
    def test_a_file_that_is_renamed_meanwhile_does_not_fail_the_write(self, tmp_path: Path) -> None:
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

    def test_a_folder_that_is_gone_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            fsync_files(tmp_path / "gone")
