"""Looks at each face of a gallery that may be damaged, and mends what can be mended without its photos."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from service.errors import UnreadableFace
from service.stores.edge.findings import Findings
from service.stores.edge.requests import Request
from service.stores.payload import to_face

if TYPE_CHECKING:  # the service makes requests too, and must not load Edge
    from service.stores.edge.shard import Shard
    from service.stores.encryption.cipher import GalleryCipher

LENGTH_TOLERANCE = 1e-3
"""By so much the length of a stored embedding may differ from 1."""
NO_PICTURE = "has a picture that can't be decoded"
"""What is wrong with a face that can still be recognised."""


@dataclass(frozen=True)
class ReadFindings(Request[Findings]):
    """What was found out as the gallery was opened for inspection."""

    def carry_out(self, shard: Shard) -> Findings:
        """See Request."""
        return shard.findings


@dataclass(frozen=True, kw_only=True)
class InspectPage(Request[tuple[dict[int, str], int | None]]):
    """What is wrong with some of the next `limit` faces past a face_id, and the last of these, None at the end."""

    after: int
    limit: int
    cipher: GalleryCipher | None = None

    def carry_out(self, shard: Shard) -> tuple[dict[int, str], int | None]:
        """See Request."""
        return shard.faces.inspect(after=self.after, limit=self.limit, cipher=self.cipher)


@dataclass(frozen=True)
class AcceptRest(Request[int]):
    """Remove some faces, and take the rest as whole; how many those are."""

    damaged: Sequence[int]

    def carry_out(self, shard: Shard) -> int:
        """See Request."""
        return shard.accept(self.damaged)


def wrong_with(
    face_id: int, vector: Any, payload: Any, dimension: int, cipher: GalleryCipher | None = None
) -> str | None:
    """In words, what is wrong with a stored face; None for one that is as it should be."""
    try:
        face = to_face(face_id, payload)
    except (KeyError, TypeError, ValueError) as error:
        return f"has fields that can't be read ({type(error).__name__})"
    if cipher is not None:
        try:
            face = cipher.decrypt(face)
        except UnreadableFace:
            return "was altered since it was encrypted"
    return _wrong_embedding(vector, dimension) or _wrong_picture(face.picture)


def _wrong_embedding(vector: Any, dimension: int) -> str | None:
    try:
        numbers = np.asarray(vector, np.float64)
    except (TypeError, ValueError):
        return "has no embedding"
    if numbers.shape != (dimension,):
        return f"has an embedding of another shape than {dimension} numbers"
    length = math.sqrt(float(numbers @ numbers)) if np.isfinite(numbers).all() else math.nan
    if not abs(length - 1) <= LENGTH_TOLERANCE:
        return f"has an embedding of length {length:.3g} instead of 1"
    return None


def _wrong_picture(picture: str) -> str | None:
    from PIL import Image  # a gallery is opened without it

    try:
        with Image.open(io.BytesIO(base64.b64decode(picture, validate=True))) as opened:
            opened.load()
    except (OSError, ValueError, SyntaxError, binascii.Error):
        return NO_PICTURE
    return None
