"""The sockets on which the service listens: what is one connection too many is closed as it comes, without a word.

asyncio accepts whatever comes. Where the process can open no more files, it writes a hundred tracebacks a second.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import time
from contextlib import suppress
from typing import Any

from service.http.connection_limits import Connection, ConnectionLimits

BACKLOG = 512
"""Connections that may wait for the event loop."""
RESERVED_FILES = 128
"""For all that isn't a connection: the gallery, the files of devices and keys, libraries; and what comes in between."""

HANDSHAKE_S = 1.0
"""What a handshake of TLS may take in any case; without TLS, HTTP begins as soon as the event loop is there."""
_AT_ONCE = 32
"""Connections that are accepted, or closed, before anything else is done."""


def allow_open_files(wanted: int) -> int:
    """Raise this process's limit of open files as far as it may be and is wanted; how many connections that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < enough:
        allowed = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
        with suppress(ValueError, OSError):  # macOS has a limit that it doesn't tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED_FILES))


async def listen(host: str, port: int, limits: ConnectionLimits) -> list[socket.socket]:
    """A socket for each address that the host has. Raises OSError where it can't be had."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = Listener(family, kind, protocol, limits=limits)
            opened.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # else 0.0.0.0 couldn't be had beside it
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _bind(listener, address)
            listener.settimeout(0)
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def _bind(listener: socket.socket, address: Any) -> None:
    try:
        listener.bind(address)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise OSError(error.errno, f"error while attempting to bind on address {address!r}: {said}") from None


class Listener(socket.socket):
    """Accepts what the limits admit."""

    def __init__(self, *arguments: Any, limits: ConnectionLimits) -> None:
        super().__init__(*arguments)
        self._limits = limits
        self._spare = _spare_file()
        self._in_a_row = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that may stay, and its address. Raises BlockingIOError where none waits, or for others to
        have their turn: the event loop comes again.
        """
        while self._in_a_row < _AT_ONCE:
            self._in_a_row += 1
            try:
                descriptor, address = self._accept()  # type: ignore[attr-defined]  # as socket.socket.accept does
            except OSError as error:
                if error.errno not in {errno.EMFILE, errno.ENFILE}:
                    self._in_a_row = 0
                    raise
                self._turn_away()
                continue
            peer = _peer(address)
            if self._limits.admit(peer):
                return Accepted(self.family, self.type, self.proto, descriptor, peer=peer, limits=self._limits), address
            os.close(descriptor)
        self._in_a_row = 0
        raise BlockingIOError

    def close(self) -> None:
        """Listen no more."""
        self._let_spare_go()
        super().close()

    def _turn_away(self) -> None:
        """Close the connection that waits, with the file that is kept for that: else it would be told of forever."""
        self._limits.out_of_files()
        self._let_spare_go()
        try:
            descriptor, _ = self._accept()  # type: ignore[attr-defined]
            os.close(descriptor)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:  # somebody was quicker: the event loop comes again
                raise BlockingIOError from None
            raise
        finally:
            with suppress(OSError):
                self._spare = _spare_file()

    def _let_spare_go(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


class Accepted(socket.socket, Connection):
    """A client's socket, counted until it is closed; where HTTP doesn't begin on it soon it makes room as if idle."""

    def __init__(self, *arguments: Any, peer: str, limits: ConnectionLimits) -> None:
        super().__init__(*arguments)
        self._counted: tuple[ConnectionLimits, str] | None = (limits, peer)
        self._accepted_at = time.monotonic()
        limits.arrived(peer, self.fileno(), self)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was asked on it though there was time: it is known here until HTTP begins only."""
        return time.monotonic() - self._accepted_at > HANDSHAKE_S

    def drop(self) -> None:
        """Have the event loop find it ended."""
        with suppress(OSError):  # the client was quicker
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the descriptor."""
        if self._counted is not None:
            limits, peer = self._counted
            self._counted = None
            limits.leave(peer, self.fileno())
        super().close()


def _spare_file() -> int | None:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _peer(address: Any) -> str:
    """The IP address of what accept tells."""
    return address[0] if isinstance(address, tuple) else ""
