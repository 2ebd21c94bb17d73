"""What a gallery on a Qdrant server costs beside one in a folder: over HTTP, and of the service's own processor time.

No Qdrant is needed, and none is measured: a server of the tests answers what it was asked before from memory, at once.
So the difference is what the service does, and the wire. Run alone as `python -m scripts.bench.stores [FACES]`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import numpy as np
from grpc import unary_unary_rpc_method_handler

from scripts.bench.edge import LIMIT, PICTURE_BYTES, stored_face
from scripts.bench.environments import BENCH
from scripts.bench.filling import fill
from scripts.bench.made_up import DIMENSION, Vectors
from scripts.bench.serving import service_process
from scripts.bench.store_memory import memory_of
from scripts.bench.watching import processor_s
from service.commands.markdown import table
from service.models import selection
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.qdrant.addresses import connector
from service.stores.store import Store
from service.values import DEFAULT_GALLERY
from tests.support.qdrant import Qdrant

FACES = 5000
PROBES = 20
ROUNDS = 15
PAGE = 100
CHUNK = 64
IDLE_SHARE = 0.1
"""Of a processor: a service that takes less has nothing to do."""
WRITES = frozenset({"Upsert", "Delete", "SetPayload", "UpdateBatch", "Create", "Update", "UpdateAliases"})
"""What is carried out each time, and makes all that was answered before worthless."""

Ask = Callable[[], Awaitable[object]]


class Remembering(Qdrant):
    """Answers a question that it has had before at once."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, bytes], bytes] = {}

    def _handler(self, _: str, name: str, request: Any, answer: Callable[[Qdrant, Any], Awaitable[Any]]) -> Any:
        async def handle(received: bytes, _context: object) -> bytes:
            if name in WRITES:
                self._known.clear()
            elif (answered := self._known.get((name, received))) is not None:
                return answered
            said: bytes = (await answer(self, request.FromString(received))).SerializeToString()
            self._known[name, received] = said
            return said

        return unary_unary_rpc_method_handler(handle)


async def serve() -> None:
    """Be that server until standard input ends; the first line says the port."""
    server = Remembering()
    await server.start()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


@asynccontextmanager
async def server_process() -> AsyncIterator[int]:
    """The server in a process of its own; its port."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-W", "ignore", "-m", "scripts.bench.stores", "--serve"]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin  # noqa: S101 - opened as pipes
    assert process.stdout  # noqa: S101
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


def stores_section(faces: int = FACES) -> str:
    """The report's section, in Markdown."""
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        over_http, inside, memory = asyncio.run(_measure(Settings(data=Path(folder)), faces))
    return "\n".join([
        "## A server beside a folder",
        "",
        f"{faces:,} faces with pictures of {PICTURE_BYTES * 4 // 3 // 1000} KB; both in turns, one request after",
        f"another, medians of {PROBES * ROUNDS} after a first round. The server answers from memory.",
        "",
        table(["over HTTP", "folder", "server", "difference"], over_http),
        "",
        table(["processor time in the service", "folder", "server"], inside),
        "",
        table(["most memory of the service, its gallery's process with it", "folder", "server"], memory),
    ])  # fmt: skip


async def _measure(settings: Settings, faces: int) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    contract = (await asyncio.to_thread(selection.prepare, settings, None)).contract
    picture = base64.b64encode(os.urandom(PICTURE_BYTES)).decode()
    random = np.random.default_rng(1)
    probes = random.standard_normal((PROBES, DIMENSION), np.float32)
    async with server_process() as port:
        shared = Settings(data=settings.data, qdrant_url="http://127.0.0.1:1", qdrant_grpc_port=port)
        both = (settings, shared)
        stores = [open_store(each) for each in both]
        for store in stores:
            await fill(store, contract, faces, picture)
        async with service_process(settings) as (one, folder), service_process(shared) as (other, server):
            for pid in (one, other):
                await _idle(pid)
            over_http = await _over_http((folder, server), probes)
            memory = await memory_of({one: folder, other: server})
        inside = await _inside([open_store(each) for each in both], contract, probes, picture)
        over_http.append(["an empty request to the server alone", "", f"{await _empty(port):.2f} ms", ""])
    return over_http, inside, memory


async def _idle(pid: int) -> None:
    """Wait until a service has warmed its models, which it does beside requests."""
    took = -1.0
    while (now := processor_s(pid)) - took > IDLE_SHARE:
        took = now
        await asyncio.sleep(1)


async def _over_http(urls: Sequence[str], probes: Vectors) -> list[list[str]]:
    """A recognition without its photo: what is left are HTTP, the search and the answer with its pictures."""
    async with aiohttp.ClientSession() as session:

        def ask(url: str, query: str, probe: list[float]) -> Ask:
            async def send() -> None:
                path = f"{url}/v1/identify/embedding?limit={LIMIT}&{query}"
                async with session.post(path, json={"embedding": probe}) as response:
                    response.raise_for_status()
                    await response.read()

            return send

        rows = []
        for name, query in (("top 5, with their pictures", "include=picture"), ("top 5, without", "group=face")):
            turns = [[ask(url, query, probe.tolist()) for url in urls] for probe in probes]
            one, other = await _medians(turns, time.perf_counter)
            rows.append([name, f"{one:.1f} ms", f"{other:.1f} ms", f"{other - one:+.1f} ms"])
    return rows


async def _inside(stores: Sequence[Store], contract: Any, probes: Vectors, picture: str) -> list[list[str]]:
    """What the stores' own ends take of this process's processor time, which is the service's."""
    for each in stores:
        await each.open()
        await each.bind(contract)
    vectors = probes / np.linalg.norm(probes, axis=1, keepdims=True)
    numbers = iter(range(10**6, 10**9))

    async def drain(found: AsyncIterator[Any], most: int) -> None:
        async for _ in found:
            most -= 1
            if not most:
                return

    def asks(store: Store) -> dict[str, Callable[[int], Ask]]:
        return {
            "top 5": lambda n: lambda: store.search(vectors[n], LIMIT, gallery=DEFAULT_GALLERY),
            f"a page of {PAGE} faces": lambda _: lambda: drain(store.scan(limit=PAGE, gallery=DEFAULT_GALLERY), PAGE),
            f"{PAGE} faces with embeddings": lambda _: lambda: drain(store.scan_embedded(), PAGE),
            f"adding {CHUNK} faces": lambda n: (
                lambda: store.add_many([(stored_face(next(numbers), picture), vectors[n]) for _ in range(CHUNK)])
            ),
        }

    rows = []
    for name in asks(stores[0]):
        turns = [[asks(each)[name](n) for each in stores] for n in range(PROBES)]
        took = await _medians(turns, time.process_time, rounds=1 if name.startswith("adding") else ROUNDS)
        rows.append([name, *(f"{each:.1f} ms" for each in took)])
    for each in stores:
        await each.close()
    return rows


async def _medians(turns: Sequence[Sequence[Ask]], clock: Callable[[], float], rounds: int = ROUNDS) -> list[float]:
    """Milliseconds of each asker, which take turns; a first round doesn't count."""
    took: list[list[float]] = [[] for _ in turns[0]]
    for counts in (False, *[True] * rounds):
        for turn in turns:
            for asker, times in zip(turn, took, strict=True):
                began = clock()
                await asker()
                if counts:
                    times.append((clock() - began) * 1000)
    return [median(each) for each in took]


async def _empty(port: int) -> float:
    """Milliseconds of a request that asks for nothing, from a client of this process."""
    [node] = await connector(url="http://127.0.0.1:1", grpc_port=port, api_key=None)()
    client = node.connect()
    [took] = await _medians([[client.info]] * PROBES, time.perf_counter)
    await client.close()
    return took


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    else:
        print(stores_section(*(int(each) for each in sys.argv[1:] if re.fullmatch(r"\d+", each))))
