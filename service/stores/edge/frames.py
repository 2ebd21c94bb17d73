"""Messages between the service and the gallery's process: each a length and a pickle."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import select
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from service.values import Box, Neighbour, StoredFace

HEADER = struct.Struct(">I")
"""Before each frame: the length of the pickle that follows, in bytes."""

PIPE_BYTES = 1 << 20
"""What a pipe may hold, where the system allows it: a page of faces with their pictures, read in a few turns."""


_Numbers = tuple[int, int, int, int, int, int, int]


def pack(message: object) -> bytes:
    """A frame; pickle is safe here because both ends are ours and nobody else holds the pipe."""
    body = io.BytesIO()
    body.write(bytes(HEADER.size))
    pickler = pickle.Pickler(body, protocol=5)
    pickler.dispatch_table = _PLAINLY
    pickler.dump(message)
    HEADER.pack_into(body.getbuffer(), 0, body.tell() - HEADER.size)
    return body.getvalue()


def widen(descriptor: int) -> None:
    """Let a pipe hold PIPE_BYTES."""
    with suppress(OSError, AttributeError):  # the system's limit is lower, or it isn't Linux
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _plain_face(face: StoredFace) -> tuple[object, ...]:
    """Of texts and numbers, which takes half the time: a dataclass looks up its fields, and a time its zone."""
    left, top, right, bottom = face.box
    return _face, (
        *(face.face_id, face.remark, face.picture, left, top, right, bottom, face.landmarks, face.detection_score),
        *(face.sha256, _numbers(face.registered_at), face.device_id, face.gallery, face.metadata),
        *(None if face.expires_at is None else _numbers(face.expires_at), face.change),
    )


def _face(*values: Any) -> StoredFace:
    face_id, remark, picture, left, top, right, bottom, landmarks, score, sha256, added, device_id, *rest = values
    gallery, metadata, expires_at, change = rest
    return StoredFace(
        *(face_id, remark, picture, Box(left, top, right, bottom), landmarks, score, sha256, _time(added), device_id),
        *(gallery, metadata, None if expires_at is None else _time(expires_at), change),
    )


def _time(numbers: _Numbers) -> datetime:
    return datetime(*numbers, tzinfo=UTC)


def _numbers(time: datetime) -> _Numbers:
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond


def _plain_neighbour(neighbour: Neighbour) -> tuple[object, ...]:
    return Neighbour, tuple(neighbour)


_PLAINLY: Mapping[type, Callable[[Any], Any]] = {StoredFace: _plain_face, Neighbour: _plain_neighbour}


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
