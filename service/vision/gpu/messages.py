"""What is said between the GPU's process and those who ask it: a header, and the numbers of a photo or of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from multiprocessing.connection import Connection
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.values import CROP_SIDE, Box, Detection, Rgb

_REQUEST = Struct("<QBII")
"""The request's number, its kind, and height and width of the photo, or the number of crops and 0."""
_ANSWER = Struct("<QBQ")
"""The request's number, what became of it, and the bytes of the GPU's memory that the process holds."""
_ROW = 15
"""Numbers of a detection: box, score, landmarks (five x, five y)."""


class Kind(IntEnum):
    """What is asked for."""

    DETECT = 1
    EMBED = 2


class Outcome(IntEnum):
    """What became of a request; the last two come with a sentence instead of numbers."""

    DONE = 0
    OVERLOADED = 1
    FAILED = 2


class Request(NamedTuple):
    """A photo (height, width, 3) to be searched, or crops (n, 160, 160, 3) to be embedded."""

    number: int
    kind: Kind
    pixels: NDArray[np.uint8]


class Answer(NamedTuple):
    """The content's meaning depends on the request's kind and on the outcome."""

    number: int
    outcome: Outcome
    memory_bytes: int
    content: bytes


def send_request(connection: Connection, number: int, kind: Kind, pixels: NDArray[np.uint8]) -> None:
    """Two messages, which nothing may come between; raises OSError where nobody listens any more."""
    height, width = (pixels.shape[0], pixels.shape[1]) if kind is Kind.DETECT else (len(pixels), 0)
    connection.send_bytes(_REQUEST.pack(number, kind, height, width))
    connection.send_bytes(np.ascontiguousarray(pixels).reshape(-1).data)


def receive_request(connection: Connection) -> Request:
    """The next request; raises EOFError or OSError where the other end is gone."""
    number, kind, height, width = _REQUEST.unpack(connection.recv_bytes())
    shape = (height, width, 3) if kind == Kind.DETECT else (height, CROP_SIDE, CROP_SIDE, 3)
    return Request(number, Kind(kind), np.frombuffer(connection.recv_bytes(), np.uint8).reshape(shape))


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
