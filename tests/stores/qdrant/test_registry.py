"""The galleries of a shared store, which several services make and remove at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.stores.qdrant import collection, writable
from service.stores.qdrant.link import QdrantLink
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Added
from service.values import DEFAULT_GALLERY as HERE
from service.values import FaceChanges
from tests.support.availability import fails
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, START, embedding, face, numbers

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)

THERE = "visitors"

OTHER = replace(CONTRACT, model="casia-webface", digest="f" * 64)


async def names(store: QdrantStore) -> list[str]:
    return [each.name for each in await store.galleries()]


class TestPeers:
    """Two services."""

    async def test_they_make_galleries_at_once(self, server: Qdrant, opened: Any) -> None:
        """None of them is lost, each keeps its time."""
        one, two = await opened(server.connect), await opened(server.connect)
        made = {f"{n:02}": START + timedelta(seconds=n) for n in range(20)}
        both = ((one, two)[n % 2].create_gallery(name, at) for n, (name, at) in enumerate(made.items()))
        assert all(await asyncio.gather(*both))
        for store in (one, two):
            assert {each.name: each.created_at for each in await store.galleries()} == {HERE: None, **made}

    @pytest.mark.parametrize("before", ["Scroll", "Delete", "Update"])
    async def test_they_make_the_same_one_at_once(self, server: Qdrant, opened: Any, before: str) -> None:
        """What is registered in it as soon as one of them has made it stays, even under a number that was left over."""
        one, two = await opened(server.connect), await opened(server.connect)
        await one.add(face(1, gallery=THERE), embedding(1))  # of a registration while it was removed
        new = face(1, gallery=THERE, registered_at=START + timedelta(hours=1))

        async def be_quicker() -> None:
            assert await two.create_gallery(THERE, START) is True
            assert await two.add(new, embedding(1)) is Added.NEW

        server.meanwhile[before] = be_quicker
        assert await one.create_gallery(THERE, START) is (before != "Scroll")
        assert await names(one) == [HERE, THERE]
        assert [each async for each in one.scan(gallery=THERE)] == [new]

    async def test_one_registers_while_the_other_one_removes(self, server: Qdrant, opened: Any) -> None:
        """A face that comes between the others and the name goes, too."""
        one, two = await opened(server.connect), await opened(server.connect)
        await one.create_gallery(THERE, START)
        server.meanwhile["Update"] = lambda: two.add(face(1, gallery=THERE), embedding(1))
        assert await one.remove_gallery(THERE) is True
        assert await names(two) == [HERE]
        assert await two.count() == 0

    async def test_one_makes_again_what_the_other_one_removes(self, server: Qdrant, opened: Any) -> None:
        """The new gallery keeps its faces."""
        one, two = await opened(server.connect), await opened(server.connect)
        await one.create_gallery(THERE, START)

        async def make_again() -> None:
            assert await two.create_gallery(THERE, START) is True
            await two.add(face(1, gallery=THERE), embedding(1))

        server.meanwhile["Scroll"] = make_again
        assert await one.remove_gallery(THERE) is True
        assert await names(one) == [HERE, THERE]
        assert await numbers(one.scan(gallery=THERE)) == [1]

    async def test_what_is_left_over_is_removed_in_parts(
        self, server: Qdrant, opened: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However much it is; faces of other galleries stay."""
        monkeypatch.setattr("service.stores.qdrant.registry.KEYS_AT_ONCE", 4)
        store = await opened(server.connect)
        await store.add_many([(face(n, gallery=THERE if n % 2 else HERE), embedding(n)) for n in range(1, 21)])
        server.calls.clear()
        assert await store.create_gallery(THERE, START) is True
        assert server.calls["Delete"] == 3
        assert await store.count() == await store.count(gallery=HERE) == 10


WRITES: dict[str, Callable[[QdrantStore], Awaitable[object]]] = {
    "add": lambda store: store.add(face(9), embedding(9)),
    "add_many": lambda store: store.add_many([(face(9), embedding(9))]),
    "change": lambda store: store.change(1, FaceChanges(remark="Zoë", metadata=None, expires_at=None), gallery=HERE),
    "remove": lambda store: store.remove(1, gallery=HERE),
    "remove_expired": lambda store: store.remove_expired(START + timedelta(days=9)),
    "rename_person": lambda store: store.rename_person("person 1", "Zoë", gallery=HERE),
    "remove_person": lambda store: store.remove_person("person 1", gallery=HERE),
    "create_gallery": lambda store: store.create_gallery("new", START),
    "remove_gallery": lambda store: store.remove_gallery(THERE),
}


class TestMoves:
    """While another collection takes the place of the one that a service writes to."""

    @pytest.mark.parametrize("write", WRITES)
    async def test_no_write_is_answered_as_done(
        self, server: Qdrant, link: QdrantLink, opened: Any, write: str
    ) -> None:
        """What comes into the old one now may not come along."""
        real = collection.real_name("faces", CONTRACT)
        store = await opened(server.connect)
        await store.create_gallery(THERE, START)
        await store.add(face(1), embedding(1))
        await store.add(face(2, gallery=THERE, expires_at=START), embedding(2))
        await writable.close_for_writing(link, real)
        await fails(WRITES[write](store), "just moving")

    @pytest.mark.parametrize("write", WRITES)
    async def test_no_write_is_lost_in_a_collection_that_was_left(
        self, server: Qdrant, link: QdrantLink, opened: Any, write: str
    ) -> None:
        """It fails, and says what to do."""
        store = await opened(server.connect)
        await store.create_gallery(THERE, START)
        await store.add(face(1), embedding(1))
        await store.add(face(2, gallery=THERE, expires_at=START), embedding(2))
        await collection.create(link, "faces", OTHER, collection.CollectionSettings())
        await fails(WRITES[write](store), "has moved to another model")
