"""Gathers the crops of concurrent requests into batches for the model, which is faster over several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from service.vision.fair_queue import FairQueue, stopping

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """One task, one future per item; callers take turns.

    A model's error reaches every caller of its batch, and the next batch is run all the same. A caller who gives up
    takes the item along, if its batch has not begun.
    """

    def __init__(
        self,
        model: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int,
        max_wait_s: float,
        max_queue: int,
    ) -> None:
        """`max_wait_s` is how long a batch that isn't full waits for more; `max_queue` how many items may wait
        before `enter` does.
        """
        self._model = model
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._max_queue = max_queue
        self._queue: FairQueue[tuple[Item, asyncio.Future[Result]]] = FairQueue()
        self._arrived, self._room = asyncio.Event(), asyncio.Event()
        self._closed = False
        self._unanswered: set[asyncio.Future[Result]] = set()
        self._task = asyncio.create_task(self._run(), name="batcher")

    @property
    def waiting(self) -> int:
        """Items that wait for a batch."""
        return len(self._queue)

    async def submit(self, item: Item, caller: str = "") -> Result:
        """The model's result for this item. Raises Overloaded where the batcher is closed."""
        return await (await self.enter(item, caller))

    async def enter(self, item: Item, caller: str = "") -> asyncio.Future[Result]:
        """Have the item wait for a batch, once the queue has room; the future is the model's result for it.

        Raises Overloaded where the batcher is closed.
        """
        while len(self._queue) >= self._max_queue and not self._closed:
            await self._room.wait()
        if self._closed:
            raise stopping()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.put(caller, (item, future))
        self._arrived.set()
        if len(self._queue) >= self._max_queue:
            self._room.clear()
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)
        return future

    async def close(self) -> None:
        """Stop; whoever still waits gets Overloaded."""
        self._closed = True
        self._room.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for future in list(self._unanswered):
            if not future.done():  # its caller may have left this very moment
                future.set_exception(stopping())

    async def _run(self) -> None:
        while True:
            batch = await self._gather()
            waiting = [(item, future) for item, future in batch if not future.done()]
            if waiting:
                await self._answer([item for item, _ in waiting], [future for _, future in waiting])

    async def _gather(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """One item, what else is there already, and where that is no full batch, what comes within max_wait_s."""
        batch = [await self._next()]
        while len(batch) < self._max_batch and self._queue:
            batch.append(await self._next())
        if len(batch) < self._max_batch and self._max_wait_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._max_wait_s):
                    while len(batch) < self._max_batch:
                        batch.append(await self._next())
        return batch

    async def _next(self) -> tuple[Item, asyncio.Future[Result]]:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        self._room.set()
        return self._queue.pop()

    async def _answer(self, items: list[Item], futures: list[asyncio.Future[Result]]) -> None:
        try:
            results = await self._model(items)
            if len(results) != len(items):
                raise RuntimeError(f"the model gave {len(results)} results for {len(items)} items")
        except Exception as error:  # noqa: BLE001 - every caller of the batch gets what the model raised
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)
