"""Finds out whether a client that has ended its sending side still waits for its answer, or has left altogether.

TCP tells both alike until something is sent. So a client whose answer takes long is sent `100 Continue`, which every
HTTP/1.1 client passes over: the system of one that has left says then that nobody is there.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

GRACE_S = 1.0
"""Even a busy service answers most photos within, so that hardly anybody is asked: simple clients may not expect it."""
AGAIN_S = 2.0

_RETURN_S = 0.1
"""For the way there and back; who is farther away is noticed the next time."""
_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"


class EndedClient:
    """Watches the connection of one that sends nothing any more, and closes it once the client has left."""

    def __init__(self, transport: asyncio.Transport, may_ask: Callable[[], bool]) -> None:
        """`may_ask` tells whether a request is being answered of whose answer nothing was sent yet."""
        self._transport = transport
        self._may_ask = may_ask
        self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._ask)

    def end(self) -> None:
        """The connection is closed."""
        self._timer.cancel()

    def _ask(self) -> None:
        if self._close_if_left():
            return
        asked = self._may_ask()
        if asked:
            self._transport.write(_PROBE)
        self._timer = asyncio.get_running_loop().call_later(_RETURN_S if asked else AGAIN_S, self._look)

    def _look(self) -> None:
        if not self._close_if_left():
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._ask)

    def _close_if_left(self) -> bool:
        if self._transport.is_closing():
            return True
        connection = self._transport.get_extra_info("socket")
        left = connection is None or bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        if left:
            self._transport.abort()
        return left
