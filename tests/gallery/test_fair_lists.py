"""Many lists at once leave room for others, and are whole all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.gallery.fair_lists import AT_ONCE, FairLists
from service.values import StoredFace
from tests.support.stored_faces import face


async def test_few_read_at_a_time_and_each_gets_all() -> None:
    """Also where some stop in the middle, or fail."""
    reading, most, lists = 0, 0, FairLists()

    async def faces(count: int, *, fails: bool) -> AsyncIterator[StoredFace]:
        nonlocal reading, most
        for number in range(count):
            reading += 1
            most = max(most, reading)
            try:
                await asyncio.sleep(0)
                if fails and number == 3:
                    raise ValueError("in the middle")
            finally:
                reading -= 1
            yield face(number + 1)

    async def whole() -> list[int]:
        return [each.face_id async for each in lists.read(faces(10, fails=False))]

    async def in_part() -> None:
        async for each in lists.read(faces(10, fails=False)):
            if each.face_id == 5:
                return

    async def failing() -> None:
        with pytest.raises(ValueError, match="in the middle"):
            [each async for each in lists.read(faces(10, fails=True))]

    others = [asyncio.create_task(each) for each in (*(in_part() for _ in range(5)), failing(), failing())]
    found = await asyncio.gather(*(whole() for _ in range(20)))
    await asyncio.gather(*others)
    assert found == [list(range(1, 11))] * 20
    assert most == AT_ONCE
