"""What the service and a decoding process say to each other: JSON with its length, and bytes whose length it says.

No pickles: what a process sends that a photo may have taken over must do nothing but be read.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

HEADER = struct.Struct(">I")
"""The length of the JSON that follows."""

MAX_ANSWER = 65_536
"""Bytes of JSON that a decoding process may send."""

READY = b"+"
"""From the decoding process: all pixels are in the shared memory."""


class Order(NamedTuple):
    """What is wanted of a photo of `length` bytes: decoded at a `reduction`, or at the one that fits `side`.

    `side` is the longer side that is wanted at most, in pixels; 0 where `reduction` is given. With `boxes` (left, top,
    right, bottom each, in pixels of the decoded photo turned clockwise by `rotation` degrees) only the crops of those
    faces are wanted, stacked.
    """

    length: int
    formats: tuple[str, ...]
    max_pixels: int
    side: int
    reduction: int = 0
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    rotation: int = 0


class Answer(NamedTuple):
    """The size of the photo, the reduction and the size of the picture; or the class of an error, with its sentence."""

    size: tuple[int, int] = (0, 0)
    reduction: int = 0
    picture: tuple[int, int] = (0, 0)
    error: str = ""
    sentence: str = ""


def pack(said: Order | Answer) -> bytes:
    """With the header."""
    text = json.dumps(said).encode("ascii")
    return HEADER.pack(len(text)) + text


def read_order(text: bytes) -> Order:
    """What `pack` made of it."""
    length, formats, max_pixels, side, reduction, boxes, rotation = json.loads(text)
    return Order(length, tuple(formats), max_pixels, side, reduction, tuple(map(tuple, boxes)), rotation)


def read_answer(text: bytes) -> Answer:
    """What `pack` made of it; raises ValueError for anything else."""
    said: Any = json.loads(text)
    match said:
        case [[int(width), int(height)], int(reduction), [int(across), int(down)], str(error), str(sentence)]:
            return Answer((width, height), reduction, (across, down), error, sentence)
        case _:
            raise ValueError("no answer of a decoding process")
