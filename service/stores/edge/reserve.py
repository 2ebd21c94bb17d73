"""Room on the gallery's disk for what must work on a full one: removing faces, and giving their space back."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

NAME = "reserve"

RESERVE_BYTES = 96 * 2**20
"""A file of so many bytes is given up where the disk is full: the next file of the log of writes takes a third."""

LOW_BYTES = 24 * 2**20
"""A disk with less left is full."""


def is_full(folder: Path) -> bool:
    """Whether hardly any room is left on a folder's disk."""
    return shutil.disk_usage(folder).free < LOW_BYTES


class Reserve:
    """A file that only takes room, made where there is plenty."""

    def __init__(self, folder: Path, size: int = RESERVE_BYTES) -> None:
        self._path = folder / NAME
        self._size = size

    def held_bytes(self) -> int:
        """What giving the file up would give."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def is_low(self) -> bool:
        """Whether hardly any room is left beside the file."""
        return is_full(self._path.parent)

    def keep(self) -> None:
        """Make the file where it isn't there, and there is room for it."""
        if self._path.exists() or shutil.disk_usage(self._path.parent).free < self._size + 2 * LOW_BYTES:
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
        except OSError:  # somebody else took the room meanwhile, or the disk is read-only
            self.give_up()

    def give_up_if_low(self) -> None:
        """Make room where there is hardly any."""
        if self._path.exists() and self.is_low():
            self.give_up()

    def give_up(self) -> None:
        """Make room."""
        with suppress(OSError):
            self._path.unlink()
