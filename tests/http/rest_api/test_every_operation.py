"""A day in the life of a gallery: every operation of /v1 once with success, on the embedded store and on a server."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from service.http.rest_api.table import OPERATIONS
from service.settings import Settings
from tests.conftest import MODELS, running
from tests.http.rest_api.conftest import Caller
from tests.support.device import multipart
from tests.support.qdrant import Qdrant

ASKED_ELSEWHERE = {"showModel", "showStatus", "listDevices", "detect", "embed"}
"""They don't touch the store, or look at its size only."""


@pytest_asyncio.fixture(params=["edge", "server"])
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Caller]:
    """A client of a service of the test's own, on either store."""
    audit = tmp_path / "audit.sqlite"
    settings = Settings(data=tmp_path / "data", model_dir=MODELS, model="casia-webface", audit=audit)
    if request.param == "edge":
        async with running(settings) as client:
            yield Caller(client)
        return
    server = Qdrant()
    await server.start()
    try:
        shared = Settings(
            data=settings.data,
            model_dir=MODELS,
            model="casia-webface",
            qdrant_url=server.url,
            qdrant_grpc_port=server.port,
            audit=audit,
        )
        async with running(shared) as client:
            yield Caller(client)
    finally:
        await server.stop()


class Asking:
    """Asks operations by their names, and remembers which were asked."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._by_name = {each.name: each for each in OPERATIONS}
        self.asked: set[str] = set()

    async def __call__(
        self, name: str, query: str = "", *, in_path: dict[str, Any] | None = None, status: int = 0, **options: Any
    ) -> Any:
        """The answer's body, with the operation's own status unless another is given; `in_path` fills the path."""
        operation = self._by_name[name]
        self.asked.add(name)
        path = operation.path.format(**(in_path or {})) + query
        return await self._caller.ask(operation.method, path, status or operation.status, **options)


def sent(photo: bytes) -> dict[str, Any]:
    return {"data": photo, "headers": {"Content-Type": "image/jpeg"}}


async def test_every_operation(fresh: Caller, portraits: dict[str, bytes]) -> None:
    """What one has written, the others show."""
    ask = Asking(fresh)
    obama, obama2, biden = (portraits[name] for name in ("obama", "obama2", "biden"))
    await ask("createGallery", in_path={"gallery": "staff"})
    assert [each["gallery"] for each in (await ask("listGalleries"))["galleries"]] == ["default", "staff"]
    [first] = (await ask("registerFaces", "?gallery=staff&remark=Ann", **sent(obama)))["faces"]
    assert first["new"]
    batch = multipart(("remark", b"Ann"), ("image", obama2), ("remark", b"Bob"), ("image", biden))
    outcomes = (await ask("registerBatch", "?gallery=staff", **batch))["outcomes"]
    assert [each["status"] for each in outcomes] == [201, 201]
    assert (await ask("showGallery", in_path={"gallery": "staff"}))["faces"] == 3
    assert (await ask("showStats", "?gallery=staff"))["faces"] == 3
    one = {"face_id": first["face_id"]}
    changed = await ask("changeFace", "?gallery=staff", json={"metadata": {"badge": 7}}, in_path=one)
    assert changed["metadata"] == {"badge": 7}
    assert (await ask("showFace", "?gallery=staff", in_path=one))["metadata"] == {"badge": 7}
    assert (await ask("showPicture", "?gallery=staff", in_path=one)).startswith(b"\xff\xd8")
    assert len((await ask("listFaces", "?gallery=staff&remark=Ann"))["faces"]) == 2
    people = (await ask("listPeople", "?gallery=staff&part=an"))["people"]
    assert [(each["remark"], each["faces"]) for each in people] == [("Ann", 2)]
    await ask("renamePerson", "?gallery=staff", in_path={"remark": "Ann"}, json={"remark": "Anna"})
    assert (await ask("showPerson", "?gallery=staff", in_path={"remark": "Anna"}))["faces"] == 2
    [found] = (await ask("identify", "?gallery=staff", **sent(portraits["obama3"])))["faces"]
    assert (found["matched"], found["matches"][0]["remark"]) == (True, "Anna")
    [embedded] = (await fresh.about(obama, "/v1/embed"))["faces"]
    by_embedding = await ask("identifyEmbedding", "?gallery=staff", json={"embedding": embedded["embedding"]})
    assert by_embedding["matches"][0]["remark"] == "Anna"
    assert (await ask("verify", "?gallery=staff&remark=Anna&threshold=0.5", **sent(obama2)))["same"]
    two = {"image": base64.b64encode(obama).decode(), "other_image": base64.b64encode(biden).decode()}
    assert not (await ask("verify", "?threshold=0.5", json=two))["same"]
    archive = await ask("exportFaces", "?gallery=staff")
    assert [json.loads(line)["remark"] for line in archive.splitlines()[1:-1]].count("Anna") == 2
    await ask("deleteFace", "?gallery=staff", in_path=one)
    await ask("deletePerson", "?gallery=staff", in_path={"remark": "Anna"})
    assert (await ask("showStats", "?gallery=staff"))["faces"] == 1
    assert (await ask("showStats"))["faces"] == 0
    restored = await ask("importFaces", data=archive, headers={"Content-Type": "application/x-ndjson"})
    assert (restored["added"], restored["known"]) == (2, 1)
    assert (await ask("showFace", "?gallery=staff", in_path=one))["metadata"] == {"badge": 7}
    assert (await ask("deleteFaces", "?gallery=staff&device=door-7"))["removed"] == 0
    assert (await ask("deleteFaces", "?gallery=staff&confirm=staff")) == {"gallery": "staff", "removed": 3}
    assert (await ask("showStats", "?gallery=staff"))["faces"] == 0
    await ask("deleteGallery", in_path={"gallery": "staff"})
    await ask("showFace", "?gallery=staff", status=404, in_path=one)
    written = (await ask("listEvents"))["events"]
    told = {
        (each.method, each.path)
        for each in OPERATIONS
        if each.needs not in {"list", "events"} and each.name in ask.asked
    }
    assert {tuple(each["route"].split(" ")) for each in written} == told
    assert {each["outcome"] for each in written} == {"ok"}
    assert ask.asked | ASKED_ELSEWHERE == {each.name for each in OPERATIONS}
