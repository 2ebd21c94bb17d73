"""The most memory that a service takes while a gallery is listed, exported and imported, wherever the gallery is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from scripts.bench.watching import WATCH_S, most, watched

LIST = 1000
"""Faces of a page, as many as may be asked for."""


async def memory_of(services: Mapping[int, str]) -> list[list[str]]:
    """Rows of a table, a column for each service; given are addresses by the numbers of processes."""
    async with aiohttp.ClientSession() as session:
        archives: dict[str, bytes] = {}

        async def export(url: str) -> None:
            archives[url] = await _read(session.get(f"{url}/v1/export"))

        async def list_page(url: str) -> None:
            await _read(session.get(f"{url}/v1/faces?limit={LIST}&include=picture"))

        async def import_again(url: str) -> None:
            await _read(session.put(f"{url}/v1/galleries/copy"))
            await _read(session.post(f"{url}/v1/import?gallery=copy", data=archives[url]))

        async def nothing(_: str) -> None:
            await asyncio.sleep(WATCH_S)

        steps: dict[str, Callable[[str], Awaitable[None]]] = {
            "before": nothing,
            "a whole export": export,
            f"a list of {LIST:,} faces with pictures": list_page,
            "importing that export": import_again,
        }
        return [
            [name, *[f"{await _most_mb(pid, step(url)):.0f} MB" for pid, url in services.items()]]
            for name, step in steps.items()
        ]


async def _most_mb(pid: int, work: Awaitable[None]) -> float:
    async with watched(pid) as samples:
        await work
    return most(samples).memory_mb


async def _read(sent: Awaitable[aiohttp.ClientResponse]) -> bytes:
    response = await sent
    response.raise_for_status()
    return await response.read()
