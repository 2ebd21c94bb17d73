"""Writes an export to standard output, line by line as it comes, for a pipe: `face-indexer export - | zstd > FILE`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from service.errors import UnusableArchive
from service.moving.archive import Header, end_line, header_line

STANDARD_OUTPUT = Path("-")
"""What stands for it in the place of a file's name."""


class ArchiveStream:
    """As ArchiveWriter, but nothing is taken up: an export that was cut off lacks its end line, and is begun anew."""

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        """Raises UnusableArchive where the stream is a terminal, on which everybody's face and name would stand."""
        if stream.isatty():
            raise UnusableArchive(
                "Standard output is a terminal; send the export into a file or a program (`- > FILE`)."
            )
        self._stream = stream
        self._digest = hashlib.sha256()
        self.after = 0
        """Always the beginning."""
        self.count = 0
        """How many faces are written."""
        self._append(header_line(header))

    def write(self, _face_id: int, line: bytes) -> None:
        """Add a face. Raises UnusableArchive where nobody reads on, or the disk is full."""
        self._append(line)
        self.count += 1

    def finish(self) -> None:
        """Seal the export."""
        self._append(end_line(self.count, self._digest.hexdigest()))
        self._append(b"", flush=True)

    def close(self) -> None:
        """Nothing is kept for the next time."""

    def _append(self, line: bytes, *, flush: bool = False) -> None:
        self._digest.update(line)
        try:
            self._stream.write(line)
            if flush:
                self._stream.flush()
        except OSError as error:
            _let_go(self._stream)
            raise UnusableArchive(
                f"The export can't be written to standard output ({error.strerror}); it is not whole, run it again."
            ) from error


def _let_go(stream: BinaryIO) -> None:
    """Send what the buffer still holds nowhere: the interpreter would try once more as it ends, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
