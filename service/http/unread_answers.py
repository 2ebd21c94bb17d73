"""Gives up on clients that don't take their answer: it would stay in memory, and the connection open, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ENOUGH = 64 * 1024
"""Bytes that a client must take in the time that it has, or all that is there."""


class ReaderWatch:
    """Watches one connection while bytes for its client lie here that the system's own buffer has no room for."""

    def __init__(self, transport: asyncio.Transport, send_s: float, give_up: Callable[[], None]) -> None:
        """`give_up` is called before the connection is closed. Every unsent byte counts, so that none is forgotten."""
        transport.set_write_buffer_limits(high=1)  # TLS takes 0 for a buffer that is always full
        self._transport = transport
        self._send_s = send_s
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """There is something that the client hasn't taken."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._send_s / 2, self._look, None)

    def end(self) -> None:
        """There is nothing any more, or nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, before: int | None) -> None:
        """Half of the time after the last look; the first one only finds out how much there is, once all is written."""
        left = self._transport.get_write_buffer_size()
        if before is not None and left <= before and before - left < ENOUGH // 2:
            self._give_up()
            self._transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(self._send_s / 2, self._look, left)
