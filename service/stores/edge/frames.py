"""Messages between the service and the gallery's process: each a length and a pickle."""

from __future__ import annotations

import os
import pickle
import select
import struct
from typing import Any

HEADER = struct.Struct(">I")
"""Before each frame: the length of the pickle that follows, in bytes."""


def pack(message: object) -> bytes:
    """A frame; pickle is safe here because both ends are ours and nobody else holds the pipe."""
    body = pickle.dumps(message, protocol=5)
    return HEADER.pack(len(body)) + body


class FrameReader:
    """Reads the frames that arrive on a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._received = bytearray()

    def ready(self, timeout_s: float) -> bool:
        """Whether something arrives within that time, or has arrived before."""
        return bool(self._received) or bool(select.select([self._descriptor], [], [], timeout_s)[0])

    def read(self) -> Any | None:
        """The next message, None at the end of the stream."""
        header = self._exactly(HEADER.size)
        body = self._exactly(HEADER.unpack(header)[0]) if header else None
        return pickle.loads(body) if body else None  # noqa: S301 - from our own parent

    def _exactly(self, size: int) -> bytes | None:
        while len(self._received) < size:
            chunk = os.read(self._descriptor, 1 << 20)
            if not chunk:
                return None
            self._received += chunk
        exactly = bytes(self._received[:size])
        del self._received[:size]
        return exactly
