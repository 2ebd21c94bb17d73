"""Writes an export beside its name, takes one up that was killed, and gives it its name when it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from indexer.moving.compression import codec_of
from service.errors import UnusableArchive
from service.files import lock, rename_durably
from service.moving.archive import Header, end_line, face_id_of, header_line, read_header

BLOCK_BYTES = 1 << 20
"""Lines of about so many bytes are compressed and written together."""


class ArchiveWriter:
    """The file FILE.part, held by this process alone, until `finish` renames it to FILE."""

    def __init__(self, path: Path, header: Header, *, anew: bool = False) -> None:
        """Begin FILE.part, or take it up after its last whole block, unless it is to be begun `anew`.

        Raises UnusableArchive where FILE is there, FILE.part is of another gallery, or it can't be written, by another
        export for one.
        """
        if path.exists():
            raise UnusableArchive(f"{path} is there already; name another file, or remove that one.")
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._codec = codec_of(path)
        self._digest = hashlib.sha256()
        self._block = bytearray()
        self.after = 0
        """The face_id of the last face written."""
        self.count = 0
        """How many faces are written."""
        try:  # only for its owner: it holds what everybody's face looks like
            self._file = os.fdopen(os.open(self._part, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        except OSError as error:
            raise UnusableArchive(f"{self._part} can't be written: {error.strerror}.") from error
        try:
            self._lock()
            end = 0 if anew else self._recover(header)
        except BaseException:
            self._file.close()
            raise
        self._file.seek(end)
        self._file.truncate()
        if end == 0:
            self._append(header_line(header))

    def write(self, face_id: int, line: bytes) -> None:
        """Add a face; `face_id` is greater than that of the one before."""
        self._append(line)
        self.after = face_id
        self.count += 1
        if len(self._block) >= BLOCK_BYTES:
            self._flush()

    def finish(self) -> None:
        """Seal the file, wait until it is on disk, and give it its name."""
        self._flush()
        self._append(end_line(self.count, self._digest.hexdigest()))
        self._flush()
        os.fsync(self._file.fileno())
        rename_durably(self._part, self._path)

    def close(self) -> None:
        """Keep what there is, for the next time; safe to call after `finish`."""
        if self._part.exists():
            self._flush()
        self._file.close()

    def _append(self, line: bytes) -> None:
        self._digest.update(line)
        self._block += line

    def _flush(self) -> None:
        if self._block:
            self._file.write(self._codec.pack(bytes(self._block)))
            self._file.flush()
            self._block.clear()

    def _lock(self) -> None:
        try:
            lock(self._file.fileno())
        except BlockingIOError:
            raise UnusableArchive(f"{self._part} is being written by another export; wait until it is done.") from None

    def _recover(self, header: Header) -> int:
        """Take over the blocks that are whole; where the last of them ends."""
        end = 0
        for block, block_end in self._codec.blocks(self._file):
            lines = block.splitlines(keepends=True)
            if end == 0:
                self._require_same(header, lines.pop(0))
            face_ids = [face_id_of(line) for line in lines]
            if not self._follow(face_ids):
                break  # the end of a file that was whole but for its name, or what a power cut left
            self._digest.update(block)
            self.count += len(lines)
            end = block_end
        return end

    def _follow(self, face_ids: Sequence[int | None]) -> bool:
        """Whether these come after those before, each after the other; if so, they are taken over."""
        after = self.after
        for face_id in face_ids:
            if face_id is None or face_id <= after:
                return False
            after = face_id
        self.after = after
        return True

    def _require_same(self, header: Header, line: bytes) -> None:
        try:
            begun = read_header(line)
        except ValueError:
            begun = None
        if begun is None or (begun.contract, begun.gallery) != (header.contract, header.gallery):
            raise UnusableArchive(f"{self._part} is not of this gallery; remove it, or name another file.")
