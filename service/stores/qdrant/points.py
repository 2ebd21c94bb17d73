"""Faces as the points of a request, and how many of them fit into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from qdrant_client import models

from service.picture_addresses import PictureAddresses
from service.stores.payload import to_payload
from service.values import Embedding, StoredFace

ADDITION = "addition"
"""The field that tells by which call a face was added; so two services that add it at once know who did."""

CHUNK_BYTES = 8 * 2**20
"""Of pictures in one request; Qdrant's limit for a request is 32 MB."""


PHOTO = "photo"
"""The field with the address of the face's picture, for Qdrant's dashboard; it is never read, nor exported."""


def to_point(
    face: StoredFace, embedding: Embedding, addition: str, addresses: PictureAddresses | None
) -> models.PointStruct:
    """The point of a face that the call `addition` adds. Raises ValueError for a remark that is not Unicode text."""
    photo = {} if addresses is None else {PHOTO: addresses.address(face.face_id)}
    payload = {**to_payload(face), **photo, ADDITION: addition}
    return models.PointStruct(id=face.face_id, vector=to_floats(embedding), payload=payload)


def to_floats(embedding: Embedding) -> list[float]:
    """The embedding's numbers, as they are in float32."""
    numbers: list[float] = np.asarray(embedding, np.float32).tolist()
    return numbers


def chunks(points: Iterable[models.PointStruct]) -> Iterator[list[models.PointStruct]]:
    """All the points, in lists whose pictures fit into one request."""
    chunk: list[models.PointStruct] = []
    chunk_bytes = 0
    for point in points:
        picture_bytes = len((point.payload or {})["picture"])
        if chunk and chunk_bytes + picture_bytes > CHUNK_BYTES:
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk.append(point)
        chunk_bytes += picture_bytes
    if chunk:
        yield chunk
