"""Asks for the nearest faces in Qdrant's own messages: the client's models of 64 hits take a millisecond to make."""

from __future__ import annotations

from typing import NamedTuple

from qdrant_client import AsyncQdrantClient, grpc, models
from qdrant_client.conversions.conversion import RestToGrpc

from service.stores.qdrant.addresses import CLIENT_TIMEOUT_S
from service.stores.qdrant.points import to_floats
from service.values import Embedding


class Hit(NamedTuple):
    """A face that was found, and the cosine of its embedding."""

    id: int
    score: float


async def nearest(
    client: AsyncQdrantClient,
    real: str,
    embedding: Embedding,
    limit: int,
    *,
    which: models.Filter,
    params: models.SearchParams,
) -> list[Hit]:
    """The `limit` most similar of some faces, best first; raises what the client's own methods raise."""
    query = grpc.Query(nearest=grpc.VectorInput(dense=grpc.DenseVector(data=to_floats(embedding))))
    request = grpc.QueryPoints(
        collection_name=real,
        query=query,
        filter=RestToGrpc.convert_filter(which),
        limit=limit,
        params=RestToGrpc.convert_search_params(params),
        with_payload=grpc.WithPayloadSelector(enable=False),
    )
    answer = await client.grpc_points.Query(request, timeout=CLIENT_TIMEOUT_S)
    return [Hit(each.id.num, each.score) for each in answer.result]
