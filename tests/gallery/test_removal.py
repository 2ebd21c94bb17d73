"""Many faces go some at a time, and a removal that was cut off goes on by being repeated."""

from __future__ import annotations

import pytest

from service.gallery import removal
from service.gallery.removal import remove_in_steps
from service.stores.qdrant.store import QdrantStore
from tests.support.qdrant import LOCAL_MODE_WARNINGS, local_mode
from tests.support.stored_faces import CONTRACT, embedding, face, numbers

pytestmark = pytest.mark.filterwarnings(*LOCAL_MODE_WARNINGS)


async def test_it_is_repeated_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is removed twice, nothing of others is removed, and all of it in the end."""
    monkeypatch.setattr(removal, "REMOVED_AT_ONCE", 4)
    async with local_mode() as (connect, name):
        store = QdrantStore(connect, name)
        await store.open()
        await store.bind(CONTRACT)
        known = [face(n, device_id=f"door-{n % 2}", gallery="staff" if n > 20 else "default") for n in range(1, 31)]
        await store.add_many([(each, embedding(each.face_id)) for each in known])
        steps = remove_in_steps(store, gallery="default", device_id="door-1")
        assert await anext(steps) == [1, 3, 5, 7]
        assert await anext(steps) == [9, 11, 13, 15]
        await steps.aclose()  # as a kill does
        assert await store.count() == 26
        assert [each async for each in remove_in_steps(store, gallery="default", device_id="door-1")] == [
            [9, 11, 13, 15],
            [17, 19],
        ]
        assert await numbers(store.scan(gallery="default")) == list(range(2, 21, 2))
        assert sum([len(each) async for each in remove_in_steps(store, gallery="default")]) == 10
        assert await numbers(store.scan(gallery="staff")) == list(range(21, 31))
