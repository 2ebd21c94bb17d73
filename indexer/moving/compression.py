"""How a file is compressed, by the end of its name: .zst with Zstandard, .gz with gzip, any other not at all."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError)
"""What reading a file raises that is cut short, damaged, or compressed in another way than its name says."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One format of compression.

    `pack` makes of some lines a block that can be read without those before it; a file is one block after another.
    `open` reads a file of any blocks as one stream. `blocks` gives the lines of each whole block of a file, and where
    it ends there in bytes; what follows the last whole one is left out.
    """

    pack: Callable[[bytes], bytes]
    open: Callable[[Path], BinaryIO]
    blocks: Callable[[BinaryIO], Iterator[tuple[bytes, int]]]


def codec_of(path: Path) -> Codec:
    """The codec that a file's name asks for."""
    if path.suffix == ".zst":
        return Codec(pack=zstd.compress, open=_open_zstd, blocks=lambda file: _members(file, zstd.ZstdDecompressor))
    if path.suffix == ".gz":
        return Codec(
            pack=_pack_gzip,
            open=_open_gzip,
            blocks=lambda file: _members(file, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
        )
    return Codec(pack=lambda lines: lines, open=lambda path: path.open("rb"), blocks=_plain_blocks)


def _pack_gzip(lines: bytes) -> bytes:
    return gzip.compress(lines, compresslevel=1, mtime=0)  # what there is to gain is gained at the lowest level


def _open_gzip(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path))


def _open_zstd(path: Path) -> BinaryIO:
    return cast("BinaryIO", zstd.open(path))


def _members(file: BinaryIO, begin: Callable[[], Any]) -> Iterator[tuple[bytes, int]]:
    """`begin` makes what decompresses one block."""
    rest = b""
    while True:
        block, lines = begin(), bytearray()
        while not block.eof:
            chunk = rest or file.read(CHUNK_BYTES)
            rest = b""
            if not chunk:
                return
            try:
                lines += block.decompress(chunk)
            except DAMAGED:
                return
        rest = block.unused_data
        yield bytes(lines), file.tell() - len(rest)


def _plain_blocks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    end, rest = 0, b""
    while chunk := file.read(CHUNK_BYTES):
        lines, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            end += len(lines) + 1
            yield lines + newline, end
