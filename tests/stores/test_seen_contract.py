"""What every store must hold to about when people were seen last."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from service.stores.store import Store
from service.values import DEFAULT_GALLERY as HERE
from service.values import FaceChanges
from tests.support import qdrant
from tests.support.stored_faces import START, embedding, face, fill, numbers

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings(*qdrant.LOCAL_MODE_WARNINGS)]

DAY = timedelta(days=1)


async def test_people_who_were_not_seen_go_with_all_their_faces(store: Store) -> None:
    """Those who were seen stay with all of theirs, and nobody of another gallery is taken for them."""
    await store.create_gallery("staff", START)
    await fill(store, [face(1, remark="Zoë"), face(2, remark="Zoë"), face(3, remark="Bob")])
    await fill(store, [replace(face(4, remark="Zoë"), gallery="staff")])
    assert await store.remove_unseen(START - DAY, START) == 0
    await store.mark_seen([(HERE, "Zoë"), (HERE, "nobody")], START + 9 * DAY)
    assert await store.remove_unseen(START + DAY, START + 10 * DAY) == 2
    assert await numbers(store.scan(gallery=HERE)) == [1, 2]
    assert await numbers(store.scan(gallery="staff")) == []


async def test_faces_of_which_nothing_is_known_count_as_seen_now(store: Store) -> None:
    """However old they are: so that nobody is gone on the day on which this is switched on, or after an import."""
    await fill(store, [face(1), face(2)])
    assert await store.remove_unseen(START + 1000 * DAY, START + 1000 * DAY) == 0
    assert await store.count() == 2
    assert await store.remove_unseen(START + 1000 * DAY + timedelta(microseconds=1), START + 1001 * DAY) == 2


async def test_being_seen_changes_nothing_else(store: Store) -> None:
    """A face is the same afterwards, and being changed or found doesn't make it forget."""
    await fill(store, [face(1)])
    await store.mark_seen([(HERE, face(1).remark)], START)
    assert (await store.fetch([1], gallery=HERE))[1] == face(1)
    changes = FaceChanges(remark="Zoë", metadata={"badge": 1}, expires_at=None)
    assert await store.change(1, changes, gallery=HERE)
    await store.rename_person("Zoë", "Zoe", gallery=HERE)
    await store.search(embedding(1), 1, gallery=HERE)
    assert await store.remove_unseen(START + DAY, START + 2 * DAY) == 1
