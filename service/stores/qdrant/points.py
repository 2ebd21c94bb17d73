"""Faces as the points of a request, and how many of them fit into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from service.picture_addresses import PictureAddresses
from service.stores.payload import to_payload
from service.values import Embedding, StoredFace

ADDITION = "addition"
"""The field that tells by which call a face was added; so two services that add it at once know who did."""

CHUNK_BYTES = 8 * 2**20
"""Of pictures in one request; Qdrant's limit for a request is 32 MB."""


PHOTO = "photo"
"""The field with the address of the face's picture, for Qdrant's dashboard; it is never read, nor exported."""


class Point(NamedTuple):
    """A face as it is sent."""

    face_id: int
    payload: dict[str, Any]
    embedding: Embedding


def to_point(face: StoredFace, embedding: Embedding, addition: str, addresses: PictureAddresses | None) -> Point:
    """The point of a face that the call `addition` adds. Raises ValueError for a remark that is not Unicode text."""
    photo = {} if addresses is None else {PHOTO: addresses.address(face.face_id)}
    return Point(face.face_id, {**to_payload(face), **photo, ADDITION: addition}, embedding)


def chunks(points: Iterable[Point]) -> Iterator[list[Point]]:
    """All the points, in lists whose pictures fit into one request."""
    chunk: list[Point] = []
    chunk_bytes = 0
    for point in points:
        picture_bytes = len(point.payload["picture"])
        if chunk and chunk_bytes + picture_bytes > CHUNK_BYTES:
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk.append(point)
        chunk_bytes += picture_bytes
    if chunk:
        yield chunk
