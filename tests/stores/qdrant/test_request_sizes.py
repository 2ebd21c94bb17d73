"""However large a gallery is, no request about it is larger than a fixed number of faces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from indexer.moving import replica
from indexer.moving.rekeying import Rekeying
from service.moving import transfer
from service.moving.transfer import Transfer
from service.stores import listing
from service.stores.listing import key_of
from service.stores.people import PeopleCount
from service.stores.qdrant.store import QdrantStore
from service.stores.store import Store
from service.values import DEFAULT_GALLERY as HERE
from tests.support.qdrant import LOCAL_MODE_WARNINGS, Qdrant
from tests.support.stored_faces import CONTRACT, START, embedding, face

pytestmark = [pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS), pytest.mark.slow]

FACES = 300
"""Of one person each; several times what each request is allowed in these tests."""

MOST = 32
"""Faces of a request in these tests, instead of 2,000."""


PAGE = 20
"""Faces, or people, of a page."""


async def drained(found: AsyncIterator[Any]) -> int:
    return len([each async for each in found])


async def counted(store: QdrantStore) -> None:
    """As `/v1/stats`, `/v1/status` and `stats` do."""
    figures = await store.figures()
    assert figures.faces == await store.count() == await store.count(gallery=HERE) == FACES
    assert figures.remarks == pytest.approx(FACES, rel=0.3)
    assert figures.are_remarks_estimated


async def paged(store: QdrantStore) -> None:
    page, after = await store.people(PAGE, gallery=HERE)
    assert len(page) == PAGE
    assert (
        await drained(store.scan(limit=PAGE, gallery=HERE, after=key_of(FACES - 100, face(FACES - 100).registered_at)))
        == PAGE
    )
    assert (await store.people(PAGE, gallery=HERE, after=after))[0]


async def exported(store: QdrantStore) -> None:
    exporting = Transfer(store, CONTRACT, lambda: START.replace(year=2030))
    lines = b"".join([each async for each in exporting.export(None)])
    assert lines.count(b"\n") == FACES + 2


async def read_with_embeddings(store: QdrantStore) -> None:
    assert await drained(store.scan_embedded()) == FACES


async def brought_along(store: QdrantStore, other: Store) -> None:
    """As a move to another model does, but for its embeddings; and the comparison afterwards."""
    work = Rekeying(old=store, new=other)
    assert await work.catch_up() == FACES
    assert await work.catch_up() == 0


async def test_no_request_grows_with_the_gallery(
    server: Qdrant, opened: Callable[..., Awaitable[QdrantStore]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting, pages, exports and moves ask for so many faces at once; counting and a page do so a few times."""
    for name in ("FACES_AT_ONCE", "SKIPPED_AT_ONCE", "KEYS_AT_ONCE"):
        monkeypatch.setattr(listing, name, MOST)
    monkeypatch.setattr(replica, "BATCH", MOST)
    monkeypatch.setattr(transfer, "FACES_AT_ONCE", MOST)
    monkeypatch.setattr(PeopleCount, "READ_AT_ONCE", MOST)
    monkeypatch.setattr(PeopleCount, "_ENOUGH", 4 * MOST)
    store = await opened(server.connect)
    for first in range(1, FACES, MOST):
        await store.add_many([(face(n), embedding(1)) for n in range(first, min(first + MOST, FACES + 1))])
    beside = QdrantStore(server.connect, "beside")
    await beside.open()
    await beside.bind(CONTRACT)
    tries: list[tuple[Callable[[], Awaitable[None]], int | None]] = [
        (lambda: counted(store), 12),
        (lambda: paged(store), 12),
        (lambda: exported(store), None),
        (lambda: read_with_embeddings(store), None),
        (lambda: brought_along(store, beside), None),
    ]
    for asks, most_calls in tries:
        server.limits.clear()
        server.calls.clear()
        await asks()
        assert server.limits
        assert max(server.limits) <= MOST + 1  # one more tells whether it goes on, or is the record of writable.py
        assert most_calls is None or sum(server.calls.values()) <= most_calls
    await beside.close()
