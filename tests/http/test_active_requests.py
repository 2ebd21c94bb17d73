"""Waiting for active requests; tests/test_service.py stops real services."""

from __future__ import annotations

import asyncio

from service.http.active_requests import ActiveRequests


async def test_no_request_is_active() -> None:
    assert await ActiveRequests().finish(60) == 0


async def test_waits_for_the_last() -> None:
    """Also for those that fail, and for those that began meanwhile."""
    active_requests = ActiveRequests()
    finished: list[int] = []

    async def request(number: int) -> None:
        with active_requests.track():
            await asyncio.sleep(0.01 * number)
            finished.append(number)
            raise RuntimeError

    requests = [asyncio.create_task(request(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    stopping = [active_requests.stopping]
    waiting = asyncio.create_task(active_requests.finish(60))
    await asyncio.sleep(0)
    stopping.append(active_requests.stopping)
    assert stopping == [False, True]
    requests.append(asyncio.create_task(request(4)))
    assert await waiting == 0
    assert finished == [1, 2, 3, 4]
    await asyncio.gather(*requests, return_exceptions=True)


async def test_the_wait_ends() -> None:
    active_requests = ActiveRequests()
    with active_requests.track(), active_requests.track():
        assert await active_requests.finish(0.01) == 2
