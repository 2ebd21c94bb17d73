"""Reads an exported gallery face by face, and says at which line it is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from indexer.moving.compression import DAMAGED, codec_of
from service.errors import UnusableArchive
from service.moving.archive import Seal, read_face, read_header
from service.values import Embedding, StoredFace

MAX_LINE_BYTES = 64 * 2**20
"""A picture of 4,096 pixels has about 5 MB."""


class ArchiveReader:
    """An open export; `header` says what it holds."""

    def __init__(self, path: Path) -> None:
        """Open it and read its header. Raises UnusableArchive for a file that isn't there or is no export."""
        self._path = path
        self._number = 0
        try:
            self._file = codec_of(path).open(path)
        except OSError as error:
            raise UnusableArchive(f"{path} can't be read: {error.strerror}.") from error
        try:
            self._head = self._line()
            self.header = read_header(self._head)
        except ValueError as error:
            self._file.close()
            raise UnusableArchive(f"{path} can't be imported: {error}.") from None
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> Iterator[tuple[StoredFace, Embedding]]:
        """Each face with its embedding, in the order of the file.

        Raises UnusableArchive, with the number of the line, where the file is damaged or ends before its end line; the
        faces before that are good.
        """
        for line in self._faces():
            try:
                face = read_face(line, self.header.contract.dimension)
            except ValueError as error:
                raise self._damaged(f"it holds no face ({error})") from None
            yield face

    def lines(self) -> Iterator[bytes]:
        """Every line from the header to the end, for somebody else to read. Raises what `read` raises."""
        yield self._head
        yield from self._faces(with_end=True)

    def _faces(self, *, with_end: bool = False) -> Iterator[bytes]:
        seal = Seal(self._head)
        while True:
            line = self._line()
            try:
                if not seal.is_face(line):
                    break
            except ValueError as error:
                raise self._damaged(str(error)) from None
            yield line
        if self._file.read(1):
            raise self._damaged("more follows after the end")
        if with_end:
            yield line

    def _line(self) -> bytes:
        self._number += 1
        try:
            line = self._file.readline(MAX_LINE_BYTES)
        except EOFError:
            line = b""
        except DAMAGED as error:
            if self._number == 1:
                raise UnusableArchive(f"{self._path} is not compressed as its name says; rename it.") from error
            raise self._damaged("it can't be decompressed") from error
        if not line.endswith(b"\n"):
            raise self._damaged("the file is cut off there")
        return line

    def _damaged(self, how: str) -> UnusableArchive:
        return UnusableArchive(
            f"{self._path} is damaged at line {self._number}: {how}. The faces before that are good; import "
            "an undamaged file for the others."
        )
