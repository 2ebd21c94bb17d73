"""What the tests of service/vision/decoding share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.vision.decoding.pool import DecodingPool, Reason


@pytest.fixture
def reasons() -> list[Reason]:
    """Why decodings were cut off, as they come."""
    return []


@pytest.fixture
async def pool(reasons: list[Reason]) -> AsyncIterator[DecodingPool]:
    """Two processes at most, with two seconds for each photo."""
    pool = DecodingPool(2, 2, reasons.append)
    yield pool
    await pool.close()
