"""Waiting for requests in hand; tests/test_service.py stops real services."""

from __future__ import annotations

import asyncio

from service.in_hand import InHand


async def test_nothing_in_hand() -> None:
    assert await InHand().finish(60) == 0


async def test_waits_for_the_last() -> None:
    """Also for those that fail, and for those that began meanwhile."""
    in_hand = InHand()
    finished: list[int] = []

    async def request(number: int) -> None:
        with in_hand.one():
            await asyncio.sleep(0.01 * number)
            finished.append(number)
            raise RuntimeError

    requests = [asyncio.create_task(request(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    assert not in_hand.stopping
    waiting = asyncio.create_task(in_hand.finish(60))
    await asyncio.sleep(0)
    assert in_hand.stopping
    requests.append(asyncio.create_task(request(4)))
    assert await waiting == 0
    assert finished == [1, 2, 3, 4]
    await asyncio.gather(*requests, return_exceptions=True)


async def test_patience_ends() -> None:
    in_hand = InHand()
    with in_hand.one(), in_hand.one():
        assert await in_hand.finish(0.01) == 2
