"""Decompresses an archive as it arrives, a little at a time; its first bytes tell whether it is Zstandard or gzip."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

from service.errors import UnusableArchive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 256 * 1024
"""No more is decompressed at once, however much the next byte stands for."""
MAX_WINDOW_LOG = 23
"""Zstandard looks back by 2^23 bytes at most, which RFC 8878 has every decoder support: so much memory it takes."""
_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"


class _Inflater(Protocol):
    def feed(self, compressed: bytes) -> Iterator[bytes]:
        """What the next bytes stand for, in pieces. Raises zlib.error or ZstdError where they are damaged."""


async def inflated(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes that were compressed, or the same where they weren't. Raises UnusableArchive for damaged ones."""
    head, inflater, known = b"", None, False
    async for chunk in chunks:
        if known:
            head = chunk
        else:
            head += chunk
            if len(head) < len(_ZSTD):
                continue
            inflater, known = _inflater_for(head), True
        if inflater is None:
            yield head
            continue
        try:
            for piece in inflater.feed(head):
                yield piece
        except (zlib.error, zstd.ZstdError):
            raise UnusableArchive("it can't be decompressed") from None
    if not known:
        yield head


def _inflater_for(head: bytes) -> _Inflater | None:
    makers: dict[bytes, Callable[[], _Inflater]] = {_ZSTD: _Zstd, _GZIP: _Gzip}
    return next((make() for magic, make in makers.items() if head.startswith(magic)), None)


class _Gzip:
    """Any number of gzip members, one after another."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, compressed: bytes) -> Iterator[bytes]:
        while True:
            piece = self._member.decompress(compressed, PIECE_BYTES)
            if piece:
                yield piece
            if self._member.eof:
                compressed = self._member.unused_data
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                if not compressed:
                    return
            else:
                compressed = self._member.unconsumed_tail
                if not compressed and len(piece) < PIECE_BYTES:
                    return


class _Zstd:
    """Any number of Zstandard frames, one after another."""

    def __init__(self) -> None:
        self._frame = _frame()

    def feed(self, compressed: bytes) -> Iterator[bytes]:
        while True:
            piece = self._frame.decompress(compressed, PIECE_BYTES)
            if piece:
                yield piece
            if self._frame.eof:
                compressed = self._frame.unused_data
                self._frame = _frame()
                if not compressed:
                    return
            elif self._frame.needs_input:
                return
            else:
                compressed = b""


def _frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})
