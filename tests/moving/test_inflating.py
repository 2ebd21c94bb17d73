"""Archives that arrive compressed: told by their first bytes, in whatever portions they come, never all at once."""

from __future__ import annotations

import gzip
import random
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable

import pytest

from service.errors import UnusableArchive
from service.moving.inflating import PIECE_BYTES, inflated

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, zstd.compress]
TEXT = b"".join(b"%d\n" % random.Random(1).getrandbits(n % 90) for n in range(20_000))


async def portions(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def unpacked(body: bytes, size: int = 65536) -> bytes:
    return b"".join([piece async for piece in inflated(portions(body, size))])


@pytest.mark.parametrize("pack", PACKERS)
async def test_gives_back_what_was_packed(pack: Callable[[bytes], bytes]) -> None:
    """In one block or in several, in portions of any size."""
    for size in (1, 3, 1000, 10**7):
        text = TEXT[:5000] if size == 1 else TEXT
        assert await unpacked(pack(text), size) == text
        assert await unpacked(pack(text[:700]) + pack(b"") + pack(text[700:]), size) == text


async def test_nothing_and_next_to_nothing() -> None:
    """Too few bytes for any mark come as they are."""
    for body in (b"", b"\x1f", b"abc"):
        assert await unpacked(body) == body


@pytest.mark.parametrize("pack", PACKERS[1:])
async def test_what_is_damaged(pack: Callable[[bytes], bytes]) -> None:
    """It is refused; what is only cut off ends early, which the archive's end line tells."""
    packed = pack(TEXT)
    with pytest.raises(UnusableArchive, match="decompressed"):
        await unpacked(packed[:20] + b"\xff" * 2000 + packed[4000:])
    with pytest.raises(UnusableArchive, match="decompressed"):
        await unpacked(packed + b"no block follows")
    assert TEXT.startswith(await unpacked(packed[:-2000]))


@pytest.mark.parametrize("pack", PACKERS[1:])
async def test_a_bomb(pack: Callable[[bytes], bytes]) -> None:
    """200 MB out of some KB come in small pieces, and take no memory."""
    bomb = pack(bytes(200 * 2**20))
    tracemalloc.start()
    size = 0
    async for piece in inflated(portions(bomb, 65536)):
        assert len(piece) <= PIECE_BYTES
        size += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 200 * 2**20
    assert peak < 4 * 2**20


async def test_a_frame_that_wants_much_memory() -> None:
    """Zstandard's frames say how far they look back, and too far is refused."""
    settings = zstd.CompressionParameter
    wide: dict[int, int] = {settings.window_log: 27, settings.enable_long_distance_matching: 1}
    with pytest.raises(UnusableArchive):
        await unpacked(zstd.ZstdCompressor(options=wide).compress(TEXT, zstd.ZstdCompressor.FLUSH_BLOCK))
