"""A Qdrant server for tests: the real one at QDRANT_TEST_URL, or Qdrant's local mode behind a real gRPC socket.

The second answers by brute force in Python, so it tells nothing of Qdrant's speed, its indexes or its cluster; but what
is sent, converted and received is what a server would get and give, and it can be stopped, slowed and made to fail.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from grpc import ServerCredentials, StatusCode, aio
from qdrant_client import AsyncQdrantClient, grpc, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from service.stores.qdrant.addresses import connector
from service.stores.qdrant.nodes import Connect, Node

URL = os.environ.get("QDRANT_TEST_URL")
API_KEY = os.environ.get("QDRANT_TEST_API_KEY")
GRPC_PORT = int(os.environ.get("QDRANT_TEST_GRPC_PORT", "6334"))

KEY = "the-key-to-the-faces"
"""What the servers of tests are asked with that want a key."""

LOCAL_MODE_WARNINGS = (
    "ignore:Payload indexes have no effect in the local Qdrant:UserWarning",
    "ignore:Local mode performs exact .brute-force. search:UserWarning",
)
"""Local mode has no indexes and always searches exactly; it says so, once."""


@asynccontextmanager
async def real_server(url: str) -> AsyncIterator[tuple[Connect, str]]:
    """How to connect to the server at QDRANT_TEST_URL, and a name of our own; what was made of it is removed."""
    connect, name = connector(url=url, grpc_port=GRPC_PORT, api_key=API_KEY), f"test-{uuid.uuid4().hex}"
    yield connect, name
    client = (await connect())[0].connect()
    for each in (await client.get_collections()).collections:
        if each.name.startswith(name):
            await client.delete_collection(each.name)  # its alias goes with it
    await client.close()


class LocalMode(AsyncQdrantClient):
    """A Qdrant in this process, which also takes the messages that the store sends past the client's models."""

    @property
    def grpc_points(self) -> Any:
        return self

    async def Query(self, request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802 - as gRPC's stub has it
        """As a server answers it."""
        assert timeout > 0
        return await answer_query(self, request, GrpcToRest.convert_filter(request.filter))

    async def Get(self, request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802
        """As a server answers it."""
        assert timeout > 0
        return await answer_get(self, request, request.ids)

    async def Scroll(self, request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802
        """As a server answers it."""
        assert timeout > 0
        return await answer_scroll(self, request, None)

    async def Upsert(self, request: Any, timeout: float) -> Any:  # noqa: ASYNC109, N802
        """As a server answers it."""
        assert timeout > 0
        return await answer_upsert(self, request)


async def answer_query(client: AsyncQdrantClient, request: Any, which: models.Filter | None) -> Any:
    """The answer to a search among some points."""
    response = await client.query_points(
        request.collection_name,
        GrpcToRest.convert_query(request.query),
        query_filter=which,
        limit=request.limit,
        with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
    )
    return grpc.QueryResponse(result=[RestToGrpc.convert_scored_point(each) for each in response.points])


async def answer_get(client: AsyncQdrantClient, request: Any, point_ids: Iterable[Any]) -> Any:
    """The answer about some points, those that there are."""
    records = await client.retrieve(
        request.collection_name,
        [GrpcToRest.convert_point_id(each) for each in point_ids],
        with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
        with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
    )
    return grpc.GetResponse(result=[_record(each) for each in records])


async def answer_scroll(client: AsyncQdrantClient, request: Any, which: models.Filter | None) -> Any:
    """The answer to a request for a page of some points."""
    records, _ = await client.scroll(
        request.collection_name,
        which,
        limit=request.limit,
        order_by=GrpcToRest.convert_order_by(request.order_by) if request.HasField("order_by") else None,
        offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
        with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
        with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
    )
    return grpc.ScrollResponse(result=[_record(each) for each in records])


async def answer_upsert(client: AsyncQdrantClient, request: Any) -> Any:
    """The answer to points that are to be added."""
    points = [GrpcToRest.convert_point_struct(each) for each in request.points]
    assert request.wait
    mode = GrpcToRest.convert_update_mode(request.update_mode) if request.HasField("update_mode") else None
    await client.upsert(request.collection_name, points, update_mode=mode)
    return _DONE


@asynccontextmanager
async def local_mode() -> AsyncIterator[tuple[Connect, str]]:
    """How to connect to a Qdrant in this process, which outlives the stores that close it."""
    client = LocalMode(":memory:")
    close = client.close

    async def keep(**_: Any) -> None:
        pass

    client.close = keep  # type: ignore[method-assign, assignment]

    async def cluster_info(_: str) -> models.CollectionClusterInfo:
        shard = models.LocalShardInfo(shard_id=0, points_count=0, state=models.ReplicaState.ACTIVE)
        return models.CollectionClusterInfo(
            peer_id=1, shard_count=1, local_shards=[shard], remote_shards=[], shard_transfers=[]
        )

    client.collection_cluster_info = cluster_info  # type: ignore[method-assign, assignment]  # local mode has none

    async def connect() -> list[Node]:
        return [Node("here", lambda: client)]

    yield connect, "faces"
    await close()


class Wire:
    """A port that passes everything on to another one, until it is told to keep still or to hang up."""

    def __init__(self, target_port: int) -> None:
        self.still = asyncio.Event()
        """While set, connections are accepted and kept, and nothing passes."""
        self.port = 0
        self.sent = b""
        """What was passed on to the other port."""
        self._there: set[asyncio.StreamWriter] = set()
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def hang_up(self) -> None:
        """Break all connections, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            self._writers.clear()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers |= {writer, there_writer}
        self._there.add(there_writer)
        for pair in ((reader, there_writer), (there_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(*pair)))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                if not self.still.is_set():
                    if writer in self._there:
                        self.sent += chunk
                    writer.write(chunk)
                    await writer.drain()
        writer.close()


class Qdrant:
    """Local mode behind gRPC; its faces outlive `stop`."""

    def __init__(
        self,
        api_key: str = "",
        version: str = "1.20.0",
        *,
        host: str = "127.0.0.1",
        peer: Qdrant | None = None,
        credentials: ServerCredentials | None = None,
    ) -> None:
        """`peer` is another node of the same cluster; with `credentials` it speaks TLS only."""
        self.api_key = api_key
        self.version = version
        self.host = host
        self._credentials = credentials
        self.calls: Counter[str] = Counter()
        """How often each method was called."""
        self.failures: dict[str, list[StatusCode | tuple[StatusCode, str]]] = {}
        """By method: what the next calls are answered, with words or without, without being carried out."""
        self.behind: set[int] = set()
        """The faces that one of three copies doesn't have yet: the one that is asked where one is enough."""
        self.aliases_of_before: list[models.AliasDescription] | None = None
        """What this node knows of aliases, where it hasn't heard of the last changes."""
        self.copies: list[models.ReplicaState] = [models.ReplicaState.ACTIVE]
        """The state of each copy of its shard."""
        self.shards_away = 0
        """For so many questions about its shards, none is active here yet, and nothing can be read or written."""
        self.lost_answers: dict[str, int] = {}
        """By method: how many of the next calls are carried out, and answered with UNAVAILABLE."""
        self.meanwhile: dict[str, Callable[[], Awaitable[object]]] = {}
        """By method: what somebody else does before the next call is carried out."""
        self.delay_s = 0.0
        self.last: dict[str, Any] = {}
        """By method: the last request."""
        self.scrolled = 0
        """How many records were answered in pages."""
        self.limits: list[int] = []
        """Of each request for records or for counts of values: how many it asked for at most, or wrote."""
        self.indexes: defaultdict[str, dict[str, models.PayloadSchemaParams]] = defaultdict(dict)
        """By collection: its indexes, by field."""
        self._hnsw: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self.port = 0
        self._local = AsyncQdrantClient(":memory:")
        if peer is not None:
            self._local, self.indexes, self._hnsw, self.port = peer._local, peer.indexes, peer._hnsw, peer.port
        self._server: aio.Server | None = None

    @property
    def url(self) -> str:
        """Of its REST API, which there is none of."""
        return f"{'https' if self._credentials else 'http'}://{self.host}:1"

    @property
    def connect(self) -> Connect:
        return connector(url=self.url, grpc_port=self.port, api_key=self.api_key or None)

    def client(self) -> AsyncQdrantClient:
        """A client of the test's own, past every limit of the store's."""
        return AsyncQdrantClient(
            url=self.url, grpc_port=self.port, prefer_grpc=True, api_key=self.api_key or None, check_compatibility=False
        )

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        options = {
            "grpc.max_receive_message_length": 32 * 2**20,  # as Qdrant's
            "grpc.http2.min_ping_interval_without_data_ms": 0,  # gRPC's own servers hang up on frequent pings
            "grpc.so_reuseport": 0,
        }
        server = aio.server(options=list(options.items()))
        for service, methods in _METHODS.items():
            handlers = {name: self._handler(service, name, *rest) for name, rest in methods.items()}
            server.add_registered_method_handlers(f"qdrant.{service}", handlers)
        address = f"{self.host}:{self.port}"
        self.port = (
            server.add_secure_port(address, self._credentials)
            if self._credentials
            else server.add_insecure_port(address)
        )
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break all connections."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def _handler(self, service: str, name: str, request: Any, answer: Callable[[Qdrant, Any], Awaitable[Any]]) -> Any:
        async def handle(received: Any, context: Any) -> Any:
            self.calls[name] += 1
            self.last[name] = received
            if self.api_key and ("api-key", self.api_key) not in context.invocation_metadata():
                await context.abort(StatusCode.UNAUTHENTICATED, "Must provide an API key")
            await asyncio.sleep(self.delay_s)
            if self.failures.get(name):
                failure = self.failures[name].pop(0)
                await context.abort(*(failure if isinstance(failure, tuple) else (failure, "injected")))
            if self.shards_away and service == "Points":
                await context.abort(StatusCode.INTERNAL, "Service internal error: 0 of 0 read operations failed")
            if name in self.meanwhile:
                await self.meanwhile.pop(name)()
            try:
                answered = await answer(self, received)
            except ValueError as error:
                absent = "not found" in str(error)
                return await context.abort(StatusCode.NOT_FOUND if absent else StatusCode.INVALID_ARGUMENT, str(error))
            if self.lost_answers.get(name):
                self.lost_answers[name] -= 1
                await context.abort(StatusCode.UNAVAILABLE, "injected")
            return answered

        return _unary(handle, request)

    def _keep_hnsw(self, request: Any) -> None:
        given = GrpcToRest.convert_hnsw_config_diff(request.hnsw_config).model_dump(exclude_none=True)
        self._hnsw[request.collection_name].update(given)

    def _require_index(self, collection: str, field: str, use: str) -> None:
        """As a server does: it orders by an index for ranges only, and counts values by one for looking up only."""
        params = self.indexes[collection].get(field)
        kind, fits = params and params.type, False
        if isinstance(params, models.IntegerIndexParams):
            fits = bool(getattr(params, use))
        elif use == "range":
            fits = isinstance(params, models.DatetimeIndexParams | models.FloatIndexParams)
        else:
            fits = isinstance(params, models.KeywordIndexParams)
        if not fits:
            raise ValueError(f"Bad request: No {use} index for key: `{field}`, which has {kind}.")

    def _unseen(self, request: Any) -> set[int]:
        """`quorum` answers what most copies have; `majority` and `all` what every copy has that is asked."""
        most = request.HasField("read_consistency") and request.read_consistency.type == grpc.ReadConsistencyType.Quorum
        return set() if most else self.behind

    def _filter(self, request: Any) -> models.Filter | None:
        which = GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None
        if unseen := self._unseen(request):
            which = models.Filter(must=[which] if which else [], must_not=[models.HasIdCondition(has_id=[*unseen])])
        return which

    def _require_known(self, which: Any) -> None:
        """A server of before 1.20 sees a condition without any match."""
        known = tuple(map(int, self.version.split(".")[:2])) >= (1, 20)
        if not known and any(each.field.match.HasField("substring") for each in which.must):
            raise ValueError("Malformed match condition")

    async def aliases(self) -> list[models.AliasDescription]:
        """What it knows of them."""
        return (await self._local.get_aliases()).aliases if self.aliases_of_before is None else self.aliases_of_before

    # ---- What the store asks for, each as a Qdrant server answers it.

    async def _health(self, _: Any) -> Any:
        return grpc.HealthCheckReply(title="qdrant - test", version=self.version)

    async def _collections(self, _: Any) -> Any:
        names = [each.name for each in (await self._local.get_collections()).collections]
        return grpc.ListCollectionsResponse(collections=[grpc.CollectionDescription(name=name) for name in names])

    async def _aliases(self, _: Any) -> Any:
        aliases = await self.aliases()
        return grpc.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(each) for each in aliases])

    async def _aliases_of(self, request: Any) -> Any:
        aliases = [each for each in await self.aliases() if each.collection_name == request.collection_name]
        return grpc.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(each) for each in aliases])

    async def _drop(self, request: Any) -> Any:
        await self._local.delete_collection(request.collection_name)
        self.indexes.pop(request.collection_name, None)
        self._hnsw.pop(request.collection_name, None)
        return grpc.CollectionOperationResponse(result=True)

    async def _info(self, request: Any) -> Any:
        info = await self._local.get_collection(request.collection_name)
        info.config.hnsw_config = info.config.hnsw_config.model_copy(update=self._hnsw[request.collection_name])
        info.payload_schema = {
            field: models.PayloadIndexInfo(data_type=models.PayloadSchemaType(params.type), params=params, points=0)
            for field, params in self.indexes[request.collection_name].items()
        }
        return grpc.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    async def _cluster_info(self, request: Any) -> Any:
        await self._local.get_collection(request.collection_name)
        away = models.ReplicaState.INITIALIZING
        states = [grpc.ReplicaState.Value((away if self.shards_away else each).value) for each in self.copies]
        self.shards_away = max(0, self.shards_away - 1)
        return grpc.CollectionClusterInfoResponse(
            peer_id=1,
            shard_count=1,
            local_shards=[grpc.LocalShardInfo(shard_id=0, points_count=0, state=states[0])],
            remote_shards=[
                grpc.RemoteShardInfo(shard_id=0, peer_id=n, state=each) for n, each in enumerate(states[1:], 2)
            ],
        )

    async def _create(self, request: Any) -> Any:
        vectors = GrpcToRest.convert_vectors_config(request.vectors_config)
        metadata = GrpcToRest.convert_payload(request.metadata)
        await self._local.create_collection(request.collection_name, vectors, metadata=metadata)
        self._keep_hnsw(request)
        return grpc.CollectionOperationResponse(result=True)

    async def _update(self, request: Any) -> Any:
        metadata = GrpcToRest.convert_payload(request.metadata) if request.metadata else None
        await self._local.update_collection(request.collection_name, metadata=metadata)
        self._keep_hnsw(request)
        return grpc.CollectionOperationResponse(result=True)

    async def _change_aliases(self, request: Any) -> Any:
        await self._local.update_collection_aliases(
            [GrpcToRest.convert_alias_operations(each) for each in request.actions]
        )
        return grpc.CollectionOperationResponse(result=True)

    async def _index(self, request: Any) -> Any:
        params = GrpcToRest.convert_payload_schema_params(request.field_index_params)
        self.indexes[request.collection_name][request.field_name] = params
        return _DONE

    async def _upsert(self, request: Any) -> Any:
        self.limits.append(len(request.points))
        return await answer_upsert(self._local, request)

    async def _delete(self, request: Any) -> Any:
        assert request.wait
        await self._local.delete(request.collection_name, GrpcToRest.convert_points_selector(request.points))
        return _DONE

    async def _set_payload(self, request: Any) -> Any:
        assert request.wait
        payload = GrpcToRest.convert_payload(request.payload)
        which = GrpcToRest.convert_points_selector(request.points_selector)
        await self._local.set_payload(request.collection_name, payload, which)
        return _DONE

    async def _update_batch(self, request: Any) -> Any:
        assert request.wait
        operations = [GrpcToRest.convert_points_update_operation(each) for each in request.operations]
        await self._local.batch_update_points(request.collection_name, operations)
        return grpc.UpdateBatchResponse(result=[_DONE.result for _ in operations])

    async def _get(self, request: Any) -> Any:
        self.limits.append(len(request.ids))
        unseen = self._unseen(request)
        return await answer_get(self._local, request, [each for each in request.ids if each.num not in unseen])

    async def _scroll(self, request: Any) -> Any:
        self._require_known(request.filter)
        self.limits.append(request.limit)
        if request.HasField("order_by"):
            self._require_index(request.collection_name, request.order_by.key, "range")
        answered = await answer_scroll(self._local, request, self._filter(request))
        self.scrolled += len(answered.result)
        return answered

    async def _query(self, request: Any) -> Any:
        self.limits.append(request.limit)
        return await answer_query(self._local, request, self._filter(request))

    async def _facet(self, request: Any) -> Any:
        assert request.exact
        self.limits.append(request.limit)
        self._require_index(request.collection_name, request.key, "lookup")
        which = self._filter(request)
        facets = await self._local.facet(request.collection_name, request.key, which, limit=request.limit)
        hits = [RestToGrpc.convert_facet_value_hit(each) for each in facets.hits]
        return grpc.FacetResponse(hits=hits)

    async def _count(self, request: Any) -> Any:
        assert request.exact
        self._require_known(request.filter)
        which = self._filter(request)
        count = await self._local.count(request.collection_name, which)
        return grpc.CountResponse(result=grpc.CountResult(count=count.count))


def _record(record: models.Record) -> Any:
    return RestToGrpc.convert_retrieved_point(record.model_copy(update={"payload": record.payload or {}}))


def _unary(handle: Any, request: Any) -> Any:
    from grpc import unary_unary_rpc_method_handler

    return unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=lambda message: message.SerializeToString()
    )


_DONE = grpc.PointsOperationResponse(
    result=RestToGrpc.convert_update_result(models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED))
)

_METHODS: dict[str, dict[str, tuple[Any, Callable[[Qdrant, Any], Awaitable[Any]]]]] = {
    "Qdrant": {"HealthCheck": (grpc.HealthCheckRequest, Qdrant._health)},
    "Collections": {
        "List": (grpc.ListCollectionsRequest, Qdrant._collections),
        "ListAliases": (grpc.ListAliasesRequest, Qdrant._aliases),
        "ListCollectionAliases": (grpc.ListCollectionAliasesRequest, Qdrant._aliases_of),
        "Delete": (grpc.DeleteCollection, Qdrant._drop),
        "Get": (grpc.GetCollectionInfoRequest, Qdrant._info),
        "CollectionClusterInfo": (grpc.CollectionClusterInfoRequest, Qdrant._cluster_info),
        "Create": (grpc.CreateCollection, Qdrant._create),
        "Update": (grpc.UpdateCollection, Qdrant._update),
        "UpdateAliases": (grpc.ChangeAliases, Qdrant._change_aliases),
    },
    "Points": {
        "CreateFieldIndex": (grpc.CreateFieldIndexCollection, Qdrant._index),
        "Upsert": (grpc.UpsertPoints, Qdrant._upsert),
        "Delete": (grpc.DeletePoints, Qdrant._delete),
        "SetPayload": (grpc.SetPayloadPoints, Qdrant._set_payload),
        "UpdateBatch": (grpc.UpdateBatchPoints, Qdrant._update_batch),
        "Get": (grpc.GetPoints, Qdrant._get),
        "Scroll": (grpc.ScrollPoints, Qdrant._scroll),
        "Query": (grpc.QueryPoints, Qdrant._query),
        "Facet": (grpc.FacetCounts, Qdrant._facet),
        "Count": (grpc.CountPoints, Qdrant._count),
    },
}
