"""What is said between the GPU's process and those who ask it.

Pixels lie in memory that both see, and only who wants what goes through the socket: it holds a photo or two, but the
headers of thousands.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Sequence
from enum import IntEnum
from multiprocessing import reduction
from multiprocessing.connection import Connection
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.values import CROP_SIDE, Box, Detection, Rgb

_REQUEST = Struct("<QBIII")
"""The request's number, its kind, where its pixels lie, and height and width of the photo, or the crops' number and 0.
Of Kind.ATTACH: the number of bytes instead of a height."""
_ANSWER = Struct("<QBQ")
"""The request's number, what became of it, and the bytes of the GPU's memory that the process holds."""
KEPT_BYTES = 2**20
"""Memory of more than this is given for one request only: so many threads with a large photo each would add up."""
_ROW = 15
"""Numbers of a detection: box, score, landmarks (five x, five y)."""


class Kind(IntEnum):
    """What is asked for; the first gives memory that is shared from then on, under a number, and has no answer."""

    ATTACH = 0
    DETECT = 1
    EMBED = 2


class Outcome(IntEnum):
    """What became of a request; the last two come with a sentence instead of numbers."""

    DONE = 0
    OVERLOADED = 1
    FAILED = 2


class Request(NamedTuple):
    """A photo (height, width, 3) to be searched, or crops (n, 160, 160, 3) to be embedded, until it is answered."""

    number: int
    kind: Kind
    pixels: NDArray[np.uint8]


class Answer(NamedTuple):
    """The content's meaning depends on the request's kind and on the outcome."""

    number: int
    outcome: Outcome
    memory_bytes: int
    content: bytes


class SharedMemory:
    """Memory that both ends see, without a name: the kernel frees it when neither holds it any more."""

    def __init__(self, number: int, size: int) -> None:
        """`number` is the caller's own for it."""
        self.number = number
        self.size = size
        self._file = os.fdopen(os.memfd_create("pixels", os.MFD_CLOEXEC), "wb")
        self._file.truncate(size)
        self._bytes = np.frombuffer(mmap.mmap(self._file.fileno(), size), np.uint8)

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """From the beginning on."""
        self._bytes[: pixels.size].reshape(pixels.shape)[...] = pixels

    def share(self, connection: Connection) -> None:
        """From now on, its number means this memory there; once only. Raises OSError where nobody listens any more."""
        with self._file:  # both ends need only what they have mapped
            connection.send_bytes(_REQUEST.pack(0, Kind.ATTACH, self.number, self.size, 0))
            reduction.send_handle(connection, self._file.fileno(), 0)  # Linux needs no process number


def send_request(connection: Connection, number: int, kind: Kind, memory: SharedMemory, shape: tuple[int, ...]) -> None:
    """For pixels of that shape, which the memory holds; raises OSError where nobody listens any more."""
    height, width = (shape[0], shape[1]) if kind is Kind.DETECT else (shape[0], 0)
    connection.send_bytes(_REQUEST.pack(number, kind, memory.number, height, width))


def receive_request(connection: Connection, memories: dict[int, NDArray[np.uint8]]) -> Request | None:
    """The next request, or None where memory came, which is put among the caller's `memories`.

    Raises EOFError or OSError where the other end is gone.
    """
    number, kind, memory, height, width = _REQUEST.unpack(connection.recv_bytes())
    if kind == Kind.ATTACH:
        file = reduction.recv_handle(connection)
        memories[memory] = np.frombuffer(mmap.mmap(file, height), np.uint8)
        os.close(file)
        return None
    shape = (height, width, 3) if kind == Kind.DETECT else (height, CROP_SIDE, CROP_SIDE, 3)
    pixels = memories[memory][: math.prod(shape)].reshape(shape)
    if memories[memory].size > KEPT_BYTES:
        del memories[memory]
    return Request(number, Kind(kind), pixels)


def send_answer(connection: Connection, answer: Answer) -> None:
    """Raises OSError where nobody listens any more."""
    connection.send_bytes(_ANSWER.pack(answer.number, answer.outcome, answer.memory_bytes) + answer.content)


def receive_answer(connection: Connection) -> Answer:
    """The next answer; raises EOFError or OSError where the other end is gone."""
    message = connection.recv_bytes()
    number, outcome, memory_bytes = _ANSWER.unpack_from(message)
    return Answer(number, Outcome(outcome), memory_bytes, message[_ANSWER.size :])


def pack_detections(detections: Sequence[Detection]) -> bytes:
    """As float32, which is what the networks give."""
    rows = [
        (*each.box, each.score, *(x for x, _ in each.landmarks), *(y for _, y in each.landmarks)) for each in detections
    ]
    return np.array(rows, np.float32).tobytes()


def unpack_detections(content: bytes) -> list[Detection]:
    """In the order in which they were packed."""
    rows = np.frombuffer(content, np.float32).reshape(-1, _ROW).tolist()
    return [Detection(Box(*row[:4]), tuple(zip(row[5:10], row[10:], strict=True)), row[4]) for row in rows]


def is_searched_whole(photo: Rgb, max_side: int) -> bool:
    """Whether a photo is searched at its full size: places in its integral image are counted in 31 bits."""
    height, width = photo.shape[:2]
    return bool(max(height, width) <= max_side and 3 * (height + 1) * (width + 1) < 2**31)
