"""What is done for as long as the application runs: from its start to its end, in aiohttp's cleanup contexts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from service.devices.keys import KeyRegistry
from service.devices.registry import DeviceRegistry
from service.devices.replay import ReplayMemory

Lifetime = Callable[[web.Application], AsyncIterator[None]]
"""One of aiohttp's cleanup contexts: up to its `yield` at the start, the rest at the end."""


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have the work done as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def as_long_as_it_runs(
    work: Callable[[], Coroutine[None, None, None]],
) -> Lifetime:
    """Work that goes on until it is cancelled."""

    async def running(_: web.Application) -> AsyncIterator[None]:
        async with beside(work()):
            yield

    return running


def open_memory(memory: ReplayMemory) -> Lifetime:
    """Opens the memory of nonces, and closes it."""

    async def opened(_: web.Application) -> AsyncIterator[None]:
        try:
            await memory.open()
            yield
        finally:
            await memory.close()

    return opened


def watch(files: Sequence[DeviceRegistry | KeyRegistry], reloads: Sequence[Callable[[], None]]) -> Lifetime:
    """Takes up the files' changes as they come, and on SIGHUP whatever can be read again."""

    def reload() -> None:
        for each in reloads:
            each()

    async def watched(_: web.Application) -> AsyncIterator[None]:
        loop, watching = asyncio.get_running_loop(), [asyncio.create_task(each.watch()) for each in files]
        if reloads:
            loop.add_signal_handler(signal.SIGHUP, reload)
        yield
        if reloads:
            loop.remove_signal_handler(signal.SIGHUP)
        for each in watching:
            each.cancel()

    return watched
