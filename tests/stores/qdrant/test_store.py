"""What the shared store does beyond every store's contract: its peers, and what it sends."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from grpc import StatusCode
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from service.stores.gathering import READ_AT_ONCE
from service.stores.qdrant.addresses import connector
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY as HERE
from service.values import FaceChanges, Person
from tests.support.availability import fails
from tests.support.qdrant import KEY, LOCAL_MODE_WARNINGS, Qdrant, Wire
from tests.support.stored_faces import embedding, face, numbers

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)


PASSING = {
    "Upsert": "Service internal error: Failed to apply update with Medium ordering via leader peer 4711: "
    "Service internal error: The service is currently unavailable",
    "Get": "Service internal error: 1 of 1 read operations failed: Local shard 2 not found",
    "Query": "Service internal error: 0 of 0 read operations failed",
    "Count": "Service internal error: Local shard 2 not found",
}
"""By method: what the nodes of a cluster say after the death of one."""


class TestPeers:
    """Several services on one gallery."""

    async def test_two_register_the_same_photo_at_once(self, server: Qdrant, opened: Any) -> None:
        """One face, one of them made it, the other one is told that it is known."""
        one, two = await opened(server.connect), await opened(server.connect)
        for number in range(1, 31):
            outcomes = await asyncio.gather(*(each.add(face(number), embedding(number)) for each in (one, two)))
            assert set(outcomes) == {Added.NEW, Added.KNOWN}
        assert await one.count() == 30

    @pytest.mark.slow
    async def test_two_want_the_same_number_for_different_photos(self, server: Qdrant, opened: Any) -> None:
        """One gets it, the other is told that it is taken, and nothing is overwritten."""
        one, two = await opened(server.connect), await opened(server.connect)
        for number in range(1, 31):
            mine, yours = face(number), face(number, remark="somebody else")
            outcomes = await asyncio.gather(one.add(mine, embedding(1)), two.add(yours, embedding(2)))
            assert set(outcomes) == {Added.NEW, Added.TAKEN}
            winner = mine if outcomes[0] is Added.NEW else yours
            assert [each async for each in one.scan(number - 1, gallery=HERE)] == [winner]

    async def test_two_import_the_same_faces_at_once(self, server: Qdrant, opened: Any) -> None:
        """Each face counts as new for exactly one of them."""
        one, two = await opened(server.connect), await opened(server.connect)
        batch = [(face(n), embedding(n)) for n in range(1, 101)]
        first, second = await asyncio.gather(one.add_many(batch), two.add_many(batch))
        assert all({mine, yours} == {Added.NEW, Added.KNOWN} for mine, yours in zip(first, second, strict=True))


class TestCopies:
    """One of three copies lags behind, as that of a node that has just woken, and is the one that is asked."""

    async def test_a_removal_is_none_only_where_there_is_no_face(self, server: Qdrant, opened: Any) -> None:
        """A face that most copies have is found, and removed from all."""
        store = await opened(server.connect)
        await store.add_many([(face(number), embedding(number)) for number in (1, 2, 3)])
        server.behind = {1, 2, 3}
        assert await store.remove(1, gallery=HERE) is True
        assert await store.remove(1, gallery=HERE) is False
        assert await store.remove_person("person 2", gallery=HERE) == 1
        server.behind = set()
        assert await numbers(store.scan(gallery=HERE)) == [3]

    async def test_nobody_is_unknown_who_was_registered(self, server: Qdrant, opened: Any) -> None:
        """Looked up by number or by remark, changed and renamed."""
        store = await opened(server.connect)
        await store.add_many([(face(number), embedding(number)) for number in (1, 2)])
        server.behind = {1, 2}
        assert (await store.fetch([1, 2, 7], gallery=HERE)).keys() == {1, 2}
        assert (await store.embeddings([1], gallery=HERE)).keys() == {1}
        assert (await store.person("person 1", gallery=HERE)) == Person(remark="person 1", faces=1, face_id=1)
        changes = FaceChanges(remark="somebody", metadata=None, expires_at=None)
        assert await store.change(1, changes, gallery=HERE) is True
        assert await store.rename_person("person 2", "somebody", gallery=HERE) == 1
        server.behind = set()
        assert await numbers(store.scan(gallery=HERE, remark="somebody")) == [1, 2]

    async def test_what_became_of_an_addition(self, server: Qdrant, opened: Any) -> None:
        """A face that another service has added is known, though the copy that is asked doesn't have it yet."""
        one, two = await opened(server.connect), await opened(server.connect)
        await one.add(face(1), embedding(1))
        server.behind = {1}
        assert await two.add(face(1), embedding(1)) is Added.KNOWN
        assert await two.add(face(1, remark="somebody else"), embedding(1)) is Added.TAKEN
        assert await two.add_many([(face(1), embedding(1)), (face(2), embedding(2))]) == [Added.KNOWN, Added.NEW]

    async def test_searches_ask_one_copy(self, server: Qdrant, opened: Any) -> None:
        """They must be quick; a face may be missing from them for a moment."""
        store = await opened(server.connect)
        await store.add_many([(face(number), embedding(number)) for number in (1, 2)])
        server.behind = {1}
        server.calls.clear()
        assert [each.face_id for each in (await store.search(embedding(1), 5, gallery=HERE)).neighbours] == [2]
        assert server.calls == {"Query": 1, "Get": 1}

    async def test_a_node_gives_up_a_write_that_takes_too_long(self, server: Qdrant, opened: Any) -> None:
        """Where a person waits for it; then it is repeated."""
        store = await opened(server.connect)
        server.failures["Upsert"] = [(StatusCode.DEADLINE_EXCEEDED, "Timeout error: Operation timed out")]
        assert await store.add(face(1), embedding(1)) is Added.NEW
        assert server.last["Upsert"].timeout == 2
        await store.remove(1, gallery=HERE)
        assert server.last["Delete"].timeout == 2
        await store.add_many([(face(2), embedding(2))])
        assert not server.last["Upsert"].HasField("timeout")


class TestRequests:
    """What is sent, how often, and how much of it."""

    @pytest.mark.slow
    @pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.ABORTED, StatusCode.RESOURCE_EXHAUSTED])
    async def test_what_may_pass_is_tried_again(self, server: Qdrant, opened: Any, code: StatusCode) -> None:
        store = await opened(server.connect)
        for method in ("Upsert", "Get", "Scroll", "Query", "Count", "Delete"):
            server.failures[method] = [code, code]
        assert await store.add(face(1), embedding(1)) is Added.NEW
        assert len((await store.search(embedding(1), 5, gallery=HERE)).neighbours) == 1
        assert await numbers(store.scan(gallery=HERE)) == [1]
        assert await store.count() == 1
        assert await store.remove(1, gallery=HERE)
        assert not any(server.failures.values())

    @pytest.mark.slow
    async def test_a_shard_that_gets_another_leader(
        self, server: Qdrant, opened: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """For a second or two a cluster answers INTERNAL; it is waited for, and the log has one line of it."""
        caplog.set_level(logging.INFO)
        store = await opened(server.connect)
        for method, words in PASSING.items():
            server.failures[method] = [(StatusCode.INTERNAL, words)] * 3
        outcomes = await asyncio.gather(*(store.add(face(n), embedding(n)) for n in range(1, 3)))
        assert outcomes == [Added.NEW] * 2
        assert await store.count() == 2
        assert len((await store.search(embedding(1), 5, gallery=HERE)).neighbours) == 2
        assert not any(server.failures.values())
        assert sum(record.levelno >= logging.WARNING for record in caplog.records) == 1

    async def test_what_will_not_pass_is_not_tried_again(self, server: Qdrant, opened: Any) -> None:
        store = await opened(server.connect)
        for count, failure in enumerate((StatusCode.INVALID_ARGUMENT, StatusCode.INTERNAL), 1):
            server.failures["Count"] = [failure]
            assert await fails(store.count(), "log says why") < 0.1
            assert server.calls["Count"] == count

    async def test_answers_are_not_to_be_compressed(self, server: Qdrant, opened: Any) -> None:
        """Qdrant would compress pictures that don't get smaller, which takes longer than the search."""
        wire = Wire(server.port)
        await wire.start()
        await (await opened(connector(url=server.url, grpc_port=wire.port, api_key=KEY))).close()
        asked = H2Connection(H2Configuration(client_side=False))
        asked.initiate_connection()
        headers = [dict(each.headers) for each in asked.receive_data(wire.sent) if isinstance(each, RequestReceived)]
        assert headers
        assert {each.get(b"grpc-accept-encoding", b"identity") for each in headers} == {b"identity"}
        await wire.hang_up()

    async def test_a_lost_answer_changes_nothing(self, server: Qdrant, opened: Any) -> None:
        """What was carried out before the connection broke is neither done twice nor denied."""
        store = await opened(server.connect)
        server.calls.clear()
        server.lost_answers = {"Upsert": 2, "Delete": 1}
        assert await store.add(face(1), embedding(1)) is Added.NEW
        assert server.calls["Upsert"] == 3
        assert await store.count() == 1
        assert await store.remove(1, gallery=HERE) is True
        assert await store.count() == 0

    async def test_a_search_reads_few_pictures(self, server: Qdrant, opened: Any) -> None:
        """Of its many candidates the first are sent, where they are as many people as are asked for."""
        store = await opened(server.connect)
        await store.add_many([(face(number), embedding(number)) for number in range(1, 31)])
        server.calls.clear()
        assert len((await store.search(embedding(2), 5, gallery=HERE)).neighbours) == 5
        assert len((await store.search(embedding(2), 30, people=6, gallery=HERE)).neighbours) == READ_AT_ONCE
        assert server.calls == {"Query": 2, "Get": 2}
        assert not server.last["Query"].with_payload.enable
        assert server.last["Query"].params.quantization.rescore

    async def test_large_pictures_go_in_several_requests(self, server: Qdrant, opened: Any) -> None:
        """Qdrant takes 32 MB at a time."""
        store = await opened(server.connect)
        server.calls.clear()
        batch = [(face(n, picture="p" * 3 * 2**20), embedding(n)) for n in range(1, 8)]
        assert await store.add_many(batch) == [Added.NEW] * 7
        assert server.calls["Upsert"] == 4

    @pytest.mark.slow
    async def test_a_slow_server_fails_a_request_but_not_a_batch(self, server: Qdrant, opened: Any) -> None:
        """A person waits for the one, nobody for the other."""
        store = await opened(server.connect, request_limit_s=0.3)
        server.delay_s = 0.4
        assert await fails(store.add(face(1), embedding(1)), r"within 0\.3 s") < 0.5
        assert await fails(store.count(), "safe") < 0.5
        assert await store.add_many([(face(n), embedding(n)) for n in range(2, 5)]) == [Added.NEW] * 3
        server.delay_s = 0
        assert await store.count() in (3, 4)

    async def test_a_wrong_key_is_told_and_shown_nowhere(
        self, server: Qdrant, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        store = QdrantStore(connector(url=server.url, grpc_port=server.port, api_key="wrong-secret"), "faces")
        await fails(store.open(), "FACE_QDRANT_API_KEY")
        await store.close()
        assert "wrong-secret" not in caplog.text

    @pytest.mark.slow
    async def test_logs_hold_no_faces(self, server: Qdrant, opened: Any, caplog: pytest.LogCaptureFixture) -> None:
        """Pictures, embeddings, remarks and the key stay out of the logs, failures included."""
        caplog.set_level(logging.DEBUG)
        store = await opened(server.connect)
        await fails(store.add(face(1, picture="secret" * 99), embedding(1)[:100]))
        await server.stop()
        await fails(store.add(face(1, picture="secret" * 99), embedding(1)))
        for word in ("secret", "person 1", KEY):
            assert word not in caplog.text

    async def test_closing_fails_what_waits(self, server: Qdrant, opened: Any) -> None:
        """Nobody hangs, and nobody is told that he gave up himself."""
        store = await opened(server.connect)
        server.delay_s = 2
        waiting = asyncio.create_task(store.count())
        await asyncio.sleep(0.1)
        await store.close()
        assert await fails(waiting, "closed") < 1

    async def test_whoever_gives_up_is_let_go(self, server: Qdrant, opened: Any) -> None:
        store = await opened(server.connect)
        server.delay_s = 1
        waiting = asyncio.create_task(store.count())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
