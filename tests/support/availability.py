"""Waits for a store that fails, or that comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from service.errors import StoreUnavailable


async def fails(attempt: Awaitable[object], match: str = ".") -> float:
    """Expect StoreUnavailable; the seconds until then."""
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=match):
        await attempt
    return time.monotonic() - begin


async def recovers(attempt: Callable[[], Awaitable[object]], within_s: float = 10) -> float:
    """Repeat while the store is not available; the seconds until it was."""
    begin = time.monotonic()
    while True:
        try:
            await attempt()
        except StoreUnavailable:
            assert time.monotonic() - begin < within_s
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - begin
