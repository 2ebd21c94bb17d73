"""Asks for faces, and adds them, in Qdrant's own messages: the client's models of them take longer than all else.

A search's 64 hits would take a millisecond, and each embedding a tenth of one: its numbers are checked one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from qdrant_client import AsyncQdrantClient, grpc, models
from qdrant_client.conversions.conversion import RestToGrpc, grpc_to_payload, payload_to_grpc

from service.stores.qdrant.addresses import CLIENT_TIMEOUT_S
from service.stores.qdrant.points import Point
from service.values import Embedding

_SEVEN_BITS, _GOES_ON = 0x7F, 0x80
"""How protobuf writes a length: seven bits at a time."""


class Hit(NamedTuple):
    """A face that was found, and the cosine of its embedding."""

    id: int
    score: float


class Record(NamedTuple):
    """What was read of a face: its payload as far as it was asked for, and its embedding where that was."""

    id: int
    payload: dict[str, Any]
    vector: Embedding | None


async def nearest(
    client: AsyncQdrantClient,
    real: str,
    embedding: Embedding,
    limit: int,
    *,
    which: models.Filter,
    params: models.SearchParams,
) -> list[Hit]:
    """The `limit` most similar of some faces, best first; all here raise what the client's own methods raise."""
    request = grpc.QueryPoints(
        collection_name=real,
        query=grpc.Query(nearest=grpc.VectorInput(dense=_dense(embedding))),
        filter=RestToGrpc.convert_filter(which),
        limit=limit,
        params=RestToGrpc.convert_search_params(params),
        with_payload=grpc.WithPayloadSelector(enable=False),
    )
    answer = await client.grpc_points.Query(request, timeout=CLIENT_TIMEOUT_S)
    return [Hit(each.id.num, each.score) for each in answer.result]


async def get(
    client: AsyncQdrantClient,
    real: str,
    face_ids: Iterable[int],
    *,
    with_payload: bool | list[str],
    with_vectors: bool = False,
    consistency: models.ReadConsistencyType | None = None,
) -> list[Record]:
    """The records of some faces, those that there are."""
    request = grpc.GetPoints(
        collection_name=real,
        ids=[grpc.PointId(num=each) for each in face_ids],
        with_payload=RestToGrpc.convert_with_payload_interface(with_payload),
        with_vectors=grpc.WithVectorsSelector(enable=with_vectors),
        read_consistency=None if consistency is None else RestToGrpc.convert_read_consistency(consistency),
    )
    answer = await client.grpc_points.Get(request, timeout=CLIENT_TIMEOUT_S)
    return [_record(each) for each in answer.result]


async def page(client: AsyncQdrantClient, real: str, *, first_id: int, limit: int) -> list[Record]:
    """The next faces from a face_id on, by face_id, with all that there is of them."""
    request = grpc.ScrollPoints(
        collection_name=real,
        offset=grpc.PointId(num=first_id),
        limit=limit,
        with_payload=grpc.WithPayloadSelector(enable=True),
        with_vectors=grpc.WithVectorsSelector(enable=True),
    )
    answer = await client.grpc_points.Scroll(request, timeout=CLIENT_TIMEOUT_S)
    return [_record(each) for each in answer.result]


async def insert(
    client: AsyncQdrantClient,
    real: str,
    points: Sequence[Point],
    *,
    ordering: models.WriteOrdering,
    timeout_s: int | None,
) -> None:
    """Add those that aren't there; others stay as they are."""
    request = grpc.UpsertPoints(
        collection_name=real,
        wait=True,
        ordering=RestToGrpc.convert_write_ordering(ordering),
        update_mode=grpc.UpdateMode.InsertOnly,
        timeout=timeout_s,
    )
    for each in points:  # made in their places: a message that is put into another one is copied
        message = request.points.add(id=grpc.PointId(num=each.face_id), payload=payload_to_grpc(each.payload))
        message.vectors.vector.dense.CopyFrom(_dense(each.embedding))
    await client.grpc_points.Upsert(request, timeout=CLIENT_TIMEOUT_S)


def _dense(embedding: Embedding) -> grpc.DenseVector:
    """As protobuf writes its one field of float32 numbers: a key, the length, and they themselves as they lie here."""
    numbers = np.ascontiguousarray(embedding, "<f4").tobytes()
    length, varint = len(numbers), bytearray()
    while length > _SEVEN_BITS:
        varint.append(length & _SEVEN_BITS | _GOES_ON)
        length >>= 7
    message = grpc.DenseVector()
    message.MergeFromString(b"\x0a" + bytes([*varint, length]) + numbers)
    return message


def _record(message: grpc.RetrievedPoint) -> Record:
    vector = None
    if message.HasField("vectors"):
        output = message.vectors.vector
        vector = np.array(output.dense.data if output.HasField("dense") else output.data, np.float32)
    return Record(message.id.num, grpc_to_payload(message.payload), vector)
