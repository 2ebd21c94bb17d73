"""Gathers the crops of concurrent requests into batches for the model, which is faster over several at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from service.vision.fair_queue import FairQueue, stopping

_NEWEST = 0.25
"""Weight of the newest batch's time in what an item takes."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """One future per item; callers take turns. No batch waits to fill: while one runs, the next gathers by itself.

    A model's error reaches every caller of its batch, and the next batch is run all the same. A caller who gives up
    takes the item along, if its batch has not begun.
    """

    def __init__(
        self,
        model: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int,
        max_queue: int,
        at_once: Callable[[], int] = lambda: 1,
        max_batch_s: float = math.inf,
    ) -> None:
        """`max_queue` is how many items may wait before `enter` does; `at_once` says how many batches may run now.

        A batch of several items takes about `max_batch_s` seconds at most, by what the last ones took.
        """
        self._model = model
        self._max_batch, self._max_batch_s = max_batch, max_batch_s
        self._max_queue = max_queue
        self._at_once = at_once
        self._item_s = 0.0  # what an item takes in a batch; 0 until that is known
        self._queue: FairQueue[tuple[Item, asyncio.Future[Result]]] = FairQueue()
        self._room = asyncio.Event()
        self._closed = False
        self._unanswered: set[asyncio.Future[Result]] = set()
        self._running: set[asyncio.Task[None]] = set()

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
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.put(caller, (item, future))
        loop.call_soon(self._begin)  # with what else comes in this very moment
        if len(self._queue) >= self._max_queue:
            self._room.clear()
        self._unanswered.add(future)
        future.add_done_callback(self._unanswered.discard)
        return future

    async def close(self) -> None:
        """Stop; whoever still waits gets Overloaded."""
        self._closed = True
        self._room.set()
        running = list(self._running)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for future in list(self._unanswered):
            if not future.done():  # its caller may have left this very moment
                future.set_exception(stopping())

    def _begin(self) -> None:
        """As many batches as may run now."""
        while not self._closed and self._queue and len(self._running) < (at_once := self._at_once()):
            batch = self._gather(at_once - len(self._running))
            if batch:
                task = asyncio.create_task(self._answer(batch), name="batch")
                self._running.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    def _gather(self, batches: int) -> list[tuple[Item, asyncio.Future[Result]]]:
        """The next batch of so many that may begin now: a fair share of what waits and is still wanted."""
        share = min(self._max_batch, -(-len(self._queue) // batches))
        if self._item_s:
            share = max(1, int(min(share, self._max_batch_s / self._item_s)))
        batch = self._queue.pop_together(share)
        self._room.set()
        return [(item, future) for item, future in batch if not future.done()]

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        began = time.perf_counter()
        try:
            results = await self._model([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"the model gave {len(results)} results for {len(batch)} items")
        except Exception as error:  # noqa: BLE001 - every caller of the batch gets what the model raised
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        took_s = (time.perf_counter() - began) / len(batch)
        self._item_s = (1 - _NEWEST) * self._item_s + _NEWEST * took_s if self._item_s else took_s
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
