"""What goes over the wire is what Qdrant's client would send, and what comes is read as the client would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import RestToGrpc

from service.stores.qdrant import messages
from service.stores.qdrant.points import to_point
from service.stores.qdrant.requests import ORDERING
from tests.support.stored_faces import embedding, face


class Recording:
    """A client whose messages go nowhere: it keeps them, and answers what it is told."""

    def __init__(self, answer: Any = None) -> None:
        self.asked: Any = None
        self.grpc_points = self
        self._answer = answer

    async def Upsert(self, request: Any, **_: Any) -> Any:  # noqa: N802 - as gRPC's stub has it
        self.asked = request

    async def Get(self, request: Any, **_: Any) -> Any:  # noqa: N802
        self.asked = request
        return self._answer


async def test_a_face_is_sent_as_the_client_would() -> None:
    """With every kind of value that a payload has, and float32 numbers to the last bit."""
    faces = [face(1, metadata={"n": 1, "x": 0.5, "deep": [None, True, {"ü": "\u0000"}]}), face(2**53 - 1)]
    points = [to_point(each, embedding(each.face_id), "addition", None) for each in faces]
    client: Any = Recording()
    await messages.insert(client, "faces-1", points, ordering=ORDERING, timeout_s=2)
    mode: Any = RestToGrpc.convert_update_mode(models.UpdateMode.INSERT_ONLY)
    expected = grpc.UpsertPoints(
        collection_name="faces-1",
        points=[
            RestToGrpc.convert_point_struct(
                models.PointStruct(id=each.face_id, vector=each.embedding.tolist(), payload=each.payload)
            )
            for each in points
        ],
        wait=True,
        ordering=RestToGrpc.convert_write_ordering(ORDERING),
        update_mode=mode,
        timeout=2,
    )
    assert client.asked == expected


@pytest.mark.parametrize("dimension", [1, 31, 32, 512, 4096, 20_000])
async def test_an_embedding_of_any_length_arrives(dimension: int) -> None:
    """Also one that doesn't lie in memory as float32 in a row."""
    wide = np.random.default_rng(dimension).normal(size=(dimension, 2))
    vectors: list[Any] = [wide[:, 0].astype(np.float32), wide[:, 0], wide.astype(np.float32)[:, 1]]
    for vector in vectors:
        client: Any = Recording()
        await messages.insert(client, "c", [to_point(face(1), vector, "", None)], ordering=ORDERING, timeout_s=None)
        sent = client.asked.points[0].vectors.vector.dense
        assert sent == grpc.DenseVector(data=vector.astype(np.float32).tolist())


@pytest.mark.parametrize("is_old", [False, True])
async def test_an_embedding_is_read_in_either_form(is_old: bool) -> None:
    """Servers of before 1.17 send its numbers elsewhere."""
    numbers = embedding(7).tolist()
    output = grpc.VectorOutput(data=numbers) if is_old else grpc.VectorOutput(dense=grpc.DenseVector(data=numbers))
    record = grpc.RetrievedPoint(
        id=grpc.PointId(num=2**53 - 1),
        payload=RestToGrpc.convert_payload({"remark": "Zoë", "device_id": None}),
        vectors=grpc.VectorsOutput(vector=output),
    )
    client: Any = Recording(grpc.GetResponse(result=[record]))
    [found] = await messages.get(client, "c", [1, 2], with_payload=["remark"], with_vectors=True)
    assert (found.id, found.payload) == (2**53 - 1, {"remark": "Zoë", "device_id": None})
    assert found.vector is not None
    assert found.vector.dtype == np.float32
    assert np.array_equal(found.vector, embedding(7))
    assert list(client.asked.with_payload.include.fields) == ["remark"]


async def test_a_record_without_an_embedding_has_none() -> None:
    client: Any = Recording(grpc.GetResponse(result=[grpc.RetrievedPoint(id=grpc.PointId(num=5))]))
    assert await messages.get(client, "c", [5], with_payload=False) == [messages.Record(5, {}, None)]
