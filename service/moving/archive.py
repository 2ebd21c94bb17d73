"""The lines of an exported gallery: a header with its model, a JSON object for each face, and an end that seals them.

    {"format": "face-gallery", "version": 1, "contract": {"model": …}, "gallery": "data/gallery", "count": 2}
    {"face_id": 1001, "remark": "test", "picture": "<base64>", …, "vector": [0.0123, …]}
    {"face_id": 1002, …}
    {"end": {"count": 2, "sha256": "<of all lines before, with their newlines>"}}

Faces come by rising face_id. Every line ends with one newline, the text is UTF-8.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from service.gallery.metadata import usable_metadata
from service.stores.contracts import from_mapping, to_mapping
from service.stores.payload import CHANGE, to_face, to_payload
from service.values import MAX_FACE_ID, Box, Embedding, ModelContract, StoredFace

FORMAT = "face-gallery"
VERSION = 1

_GALLERY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

MAX_LENGTH_ERROR = 1e-3
"""By so much the length of a vector may differ from 1."""

MAX_NUMBER = 1e9
"""Coordinates are smaller, whatever their sign: no photo has so many pixels."""


@dataclass(frozen=True, slots=True)
class Header:
    """The model of the vectors, where the gallery was, how many faces it had at most when the export began.

    Its numbers of faces are below 2^face_id_bits; exports of older versions don't say so, and may have 53 bits.
    """

    contract: ModelContract
    gallery: str
    count: int
    face_id_bits: int = 53


def header_line(header: Header) -> bytes:
    """The first line."""
    contract = to_mapping(header.contract)
    return _line({"format": FORMAT, "version": VERSION, "contract": contract} | _rest(header))


def read_header(line: bytes) -> Header:
    """What `header_line` was given. Raises ValueError, with the reason, for anything else."""
    fields = _object(line)
    if fields is None or fields.get("format") != FORMAT:
        raise ValueError("it is no export of a gallery")
    if fields.get("version") != VERSION:
        raise ValueError(f"it has version {fields.get('version')!r} of the format, and only {VERSION} can be read")
    try:
        header = Header(
            from_mapping(fields["contract"]), fields["gallery"], fields["count"], fields.get("face_id_bits", 53)
        )
    except (KeyError, TypeError, ValueError):
        raise ValueError("its header is damaged") from None
    if not isinstance(header.gallery, str) or not _is_whole(header.count) or header.face_id_bits not in {31, 53}:
        raise ValueError("its header is damaged")
    return header


def face_line(face: StoredFace, embedding: Embedding) -> bytes:
    """A face with all that the gallery keeps of it. Nine digits bring a float32 back as it was."""
    vector = ",".join([f"{number:.9g}" for number in embedding.tolist()])
    return (
        _line({"face_id": face.face_id} | to_payload(replace(face, change=0)))[:-2]
        + f', "vector": [{vector}]}}\n'.encode()
    )


def read_face(line: bytes, dimension: int) -> tuple[StoredFace, Embedding]:
    """What `face_line` was given. Raises ValueError for anything else."""
    fields = _object(line)
    if fields is None:
        raise ValueError("no JSON object")
    try:
        face = to_face(fields["face_id"], {**fields, CHANGE: 0})  # of another store's changes
        with np.errstate(over="ignore"):  # what is too large for a float32 is infinite, and refused below
            vector = np.array(fields["vector"], np.float32)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("not a face") from error
    _check(face)
    length = float(np.linalg.norm(vector)) if vector.shape == (dimension,) else math.nan
    if not abs(length - 1) <= MAX_LENGTH_ERROR:
        raise ValueError(f"the vector is none of {dimension} numbers and of length 1")
    return face, vector


def end_line(count: int, sha256: str) -> bytes:
    """The last line: how many faces there were, and the hex digest of all lines before."""
    return _line({"end": {"count": count, "sha256": sha256}})


def face_id_of(line: bytes) -> int | None:
    """The number of the face in a line of our own, None where the line holds none."""
    face_id = (_object(line) or {}).get("face_id")
    return face_id if _is_whole(face_id) else None


def is_end(line: bytes) -> bool:
    """Whether it is the last line, right or wrong."""
    return line.startswith(b'{"end"')


class Seal:
    """Follows the lines of an archive, and finds at the end whether they are those that were exported."""

    def __init__(self, header: bytes) -> None:
        """`header` is the first line."""
        self._digest = hashlib.sha256(header)
        self._ended = False
        self.count = 0
        """Faces that came by now."""

    def is_face(self, line: bytes) -> bool:
        """Whether the next line is one of a face; False for the end. Raises ValueError where it doesn't seal those."""
        if self._ended:
            raise ValueError("more follows after the end")
        if is_end(line):
            if line != end_line(self.count, self._digest.hexdigest()):
                raise ValueError("the lines before it are not those that were exported")
            self._ended = True
            return False
        self._digest.update(line)
        self.count += 1
        return True

    def require_end(self) -> None:
        """Raise ValueError unless the end has come."""
        if not self._ended:
            raise ValueError("it is cut off there")


def _check(face: StoredFace) -> None:
    """Raise ValueError for a face with a field that no gallery would hold."""
    texts = (face.remark, face.picture, face.sha256, "" if face.device_id is None else face.device_id)
    numbers = (*face.box, *(edge for point in face.landmarks for edge in point), face.detection_score)
    if not (_is_whole(face.face_id) and 0 < face.face_id <= MAX_FACE_ID):
        raise ValueError("the face_id is no whole number from 1 to 2^53 - 1")
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("a text is missing")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half of a surrogate pair, which is not a character") from None
    if not isinstance(face.box, Box) or not all(isinstance(each, int | float) for each in numbers):
        raise ValueError("a number is missing")
    if not all(-MAX_NUMBER < each < MAX_NUMBER for each in numbers):
        raise ValueError("a number is no coordinate in a photo")
    if not (isinstance(face.gallery, str) and _GALLERY.fullmatch(face.gallery)):
        raise ValueError("the gallery's name can't be used")
    if face.metadata is not None:
        _check_metadata(face.metadata)
    if face.expires_at is not None and face.expires_at.utcoffset() != timedelta(0):
        raise ValueError("the end of its time is not in UTC")
    if face.registered_at.utcoffset() != timedelta(0):
        raise ValueError("the time is not in UTC")


def _check_metadata(metadata: object) -> None:
    try:
        usable_metadata(metadata)
    except ValueError as error:
        raise ValueError(f"the metadata can't be used: {error}") from None


def _rest(header: Header) -> dict[str, Any]:
    return {"gallery": header.gallery, "count": header.count, "face_id_bits": header.face_id_bits}


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
