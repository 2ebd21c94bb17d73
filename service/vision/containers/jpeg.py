"""Walks over the segments and scans of a JPEG: what no camera writes is refused, what is cheap to decode is known."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.errors import ImplausibleImage
from service.vision.containers.tags import is_small_directory

MAX_SEGMENTS = 2000
"""Cameras write some ten, with large colour profiles or a depth map some hundred. Pillow goes through them in Python,
and joins those of EXIF in a time that grows with their square."""
MAX_SCANS = 128
"""Of a progressive photo; programs write up to 20. Each takes the time of the whole photo, also one without content."""
MAX_FILL = 65_536
"""Bytes between segments, which Pillow passes over one by one."""

SMALL_SEGMENTS = 200
SMALL_WORK = 64_000_000
"""Pixels times scans of a photo that is decoded in half a second at most."""
SMALL_PIXELS = 16_000_000

_START, _END, _START_OF_SCAN, _EXIF, _MPF = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2
_NO_LENGTH = {0x01, _START}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HUFFMAN_FRAMES = {0xC0, 0xC1, 0xC2}
_CHUNK = 2**20

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKS = np.ones(256, bool)
"""The same by the byte after 0xFF: whether the two are a marker. None are a byte of content (0), a restart
(0xD0 to 0xD7) and filling (0xFF)."""
_MARKS[[0, 0xFF, *range(0xD0, 0xD8)]] = False


@dataclass(slots=True)
class JpegWalk:
    """What was seen up to the end marker; `whole` where there is one."""

    size: tuple[int, int] | None = None
    frames: list[int] = field(default_factory=list)
    """The kinds of frame headers; a photo has one."""
    bits: int = 0
    components: int = 0
    segments: int = 0
    scans: int = 0
    stray: int = 0
    """Bytes between segments."""
    exif: int = 0
    """Blocks of EXIF."""
    directories_small: bool = True
    whole: bool = False

    @property
    def ordinary(self) -> bool:
        """Whether it is decoded within a known short time."""
        if self.size is None or not self.whole or self.stray or self.exif > 1 or not self.directories_small:
            return False
        pixels = self.size[0] * self.size[1]
        plain = self.bits == 8 and self.components in {1, 3} and len(self.frames) == 1  # noqa: PLR2004
        return (
            plain
            and self.frames[0] in _HUFFMAN_FRAMES
            and self.segments <= SMALL_SEGMENTS
            and pixels <= SMALL_PIXELS
            and pixels * self.scans <= SMALL_WORK
        )


def walk(photo: bytes) -> JpegWalk:
    """The walk over a JPEG, in time that grows with its bytes. Raises ImplausibleImage."""
    found, markers = JpegWalk(), _Markers(photo)
    place, in_scan = 2, False
    while True:
        marker = markers.at_or_after(place) if in_scan else _between_segments(photo, place)
        if marker is None:
            break
        if not in_scan:
            found.stray += marker - place
        kind = photo[marker + 1]
        if kind == _END:
            found.whole = True
            break
        found.segments += 1
        found.scans += kind == _START_OF_SCAN
        _require_plausible(found)
        in_scan = kind == _START_OF_SCAN or (in_scan and kind in _NO_LENGTH)
        place = marker + 2
        if kind not in _NO_LENGTH:
            content = photo[place + 2 : place + int.from_bytes(photo[place : place + 2], "big")]
            _note(found, kind, content)
            place += 2 + len(content)
    return found


def _note(found: JpegWalk, kind: int, content: bytes) -> None:
    if kind in _FRAMES and len(content) >= 6:  # noqa: PLR2004 - its fixed part
        found.bits, height, width, found.components = struct.unpack_from(">BHHB", content)
        found.size = (width, height)
        found.frames.append(kind)
    elif kind == _EXIF and content.startswith(b"Exif\0\0"):
        found.exif += 1
        found.directories_small = found.directories_small and is_small_directory(content[6:])
    elif kind == _MPF and content.startswith(b"MPF\0"):
        found.directories_small = found.directories_small and is_small_directory(content[4:])


def _require_plausible(found: JpegWalk) -> None:
    if found.scans > MAX_SCANS:
        raise ImplausibleImage(f"The image has more than {MAX_SCANS} scans, as no camera writes; save it anew as JPEG.")
    if found.segments > MAX_SEGMENTS:
        raise ImplausibleImage(
            f"The image has more than {MAX_SEGMENTS} segments, as no camera writes; save it anew as JPEG."
        )
    if found.stray > MAX_FILL:
        raise _too_much_filling()


def _between_segments(photo: bytes, place: int) -> int | None:
    """The next marker, which comes at once or soon; None at the end. Raises ImplausibleImage where it's too far."""
    found = _MARKER.search(photo, place, place + MAX_FILL)
    if found is None and len(photo) > place + MAX_FILL:
        raise _too_much_filling()
    return None if found is None else found.start()


def _too_much_filling() -> ImplausibleImage:
    return ImplausibleImage(
        f"The image has more than {MAX_FILL} bytes between its segments, as no camera writes; save it anew as JPEG."
    )


class _Markers:
    """Finds markers in scans, a megabyte of the photo at a time, without Python's lock."""

    def __init__(self, photo: bytes) -> None:
        self._bytes = np.frombuffer(photo, np.uint8)
        self._chunk = -1
        self._places: NDArray[np.intp] = np.empty(0, np.intp)

    def at_or_after(self, place: int) -> int | None:
        """Where the next marker's 0xFF is; None where there is no more."""
        while place < len(self._bytes) - 1:
            self._load(place // _CHUNK)
            index = int(np.searchsorted(self._places, place))
            if index < len(self._places):
                return int(self._places[index])
            place = (self._chunk + 1) * _CHUNK
        return None

    def _load(self, chunk: int) -> None:
        if chunk == self._chunk:
            return
        part = self._bytes[chunk * _CHUNK : (chunk + 1) * _CHUNK + 1]
        places = np.flatnonzero(part[:-1] == 0xFF)  # noqa: PLR2004
        self._places = places[_MARKS[part[places + 1]]] + chunk * _CHUNK
        self._chunk = chunk
