"""Files that outlive crashes and other processes: locks, waiting for the disk, replacing a file as a whole."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.05
"""Between two tries to get a lock within a time limit."""


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file or folder as long as the block runs; a file that isn't there is made.

    While another process has it, it is waited for, and `on_wait` is called once. Raises OSError where the lock can't be
    opened.
    """
    descriptor = open_lock(path)
    try:
        try:
            lock(descriptor)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone; what is there stays as it is."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # which says so where something else is in its place


def open_private(path: str, flags: int) -> int:
    """An opener for `open`: a file that it makes is its owner's alone."""
    return os.open(path, flags, 0o600)


def open_lock(path: Path) -> int:
    """A descriptor for `lock`, of a file or a folder; a file that isn't there is made."""
    return os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o600)


def lock(descriptor: int, limit_s: float = 0.0) -> None:
    """Take the exclusive lock of an open file or folder; it is given up with the descriptor, however the process ends.

    Raises BlockingIOError where another process still has it after `limit_s` seconds.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(POLL_S)
        else:
            return


def replace_file(
    path: Path, text: str, *, new_mode: int = 0o600, check: Callable[[Path], object] = lambda _: None
) -> None:
    """Put a text (as UTF-8) in a file's place: cut off at any moment, the file is the old one or the new one, whole.

    A file that is there keeps its owner and its rights; a new one gets `new_mode`, less the umask. `check` is given
    the finished draft FILE.new; what it raises passes through, and leaves the file as it is. Only one process may
    replace a file at a time. Raises OSError.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # of a process that was killed
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, new_mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            check(draft)
            if path.exists():
                former = path.stat()
                os.fchown(file.fileno(), former.st_uid, former.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(former.st_mode))
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    fsync(path.parent)


def rename_durably(source: Path, target: Path) -> None:
    """Rename a file or folder within a folder, and wait until the disk knows."""
    source.rename(target)
    fsync(target.absolute().parent)


def fsync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_files(folder: Path) -> None:
    """Wait until every file of a folder, and their names, are on disk.

    Begun again where a file is gone: Edge makes the next file of its log under a passing name, in a thread of its own.
    Raises FileNotFoundError where the folder itself is gone.
    """
    while True:
        try:
            for path in (*folder.iterdir(), folder):
                fsync(path)
        except FileNotFoundError:
            if not folder.exists():
                raise
        else:
            return
