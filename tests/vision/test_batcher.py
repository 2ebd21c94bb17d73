"""Calls that come at the same time share a batch, and each gets its own answer or error, never silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from service.errors import Overloaded
from service.vision.batcher import Batcher


class Doubler:
    """A model that doubles numbers and keeps the batches that it was given.

    It answers once `open` is set, fails on a negative number, and loses its last result on a zero.
    """

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await self.open.wait()
        if min(numbers) < 0:
            raise ArithmeticError(f"{min(numbers)} is negative")
        results = [2 * each for each in numbers]
        return results[:-1] if 0 in numbers else results


class Slow(Doubler):
    """One that takes its time."""

    def __init__(self, seconds_an_item: float) -> None:
        super().__init__()
        self.seconds_an_item = seconds_an_item

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        await asyncio.sleep(self.seconds_an_item * len(numbers))
        return await super().__call__(numbers)


@asynccontextmanager
async def batching(
    model: Callable[[Sequence[int]], Awaitable[Sequence[int]]],
    max_batch: int = 8,
    max_batch_s: float = 60.0,
    at_once: Callable[[], int] = lambda: 1,
    max_queue: int = 100,
) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher(model, max_batch=max_batch, max_queue=max_queue, max_batch_s=max_batch_s, at_once=at_once)
    try:
        yield batcher
    finally:
        await asyncio.wait_for(batcher.close(), 5)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def submitted(batcher: Batcher[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(batcher.submit(each)) for each in numbers]


async def outcomes(tasks: list[asyncio.Task[int]]) -> list[int | BaseException]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)


# Batches


async def test_everyone_gets_the_answer_to_their_own_question() -> None:
    model = Doubler()
    async with batching(model) as batcher:
        assert await outcomes(submitted(batcher, *range(1, 101))) == [2 * each for each in range(1, 101)]
    assert [each for batch in model.batches for each in batch] == list(range(1, 101))


async def test_calls_that_come_together_share_a_batch_up_to_the_largest() -> None:
    model = Doubler()
    async with batching(model, max_batch=8) as batcher:
        await outcomes(submitted(batcher, *range(1, 21)))
    assert [len(each) for each in model.batches] == [8, 8, 4]


async def test_what_comes_while_the_model_is_busy_forms_the_next_batch() -> None:
    model = Doubler()
    model.open.clear()
    async with batching(model) as batcher:
        tasks = submitted(batcher, 1)
        await settle()
        for number in (2, 3, 4):
            tasks += submitted(batcher, number)
            await settle()
        assert batcher.waiting == 3
        model.open.set()
        assert await outcomes(tasks) == [2, 4, 6, 8]
        assert batcher.waiting == 0
    assert model.batches == [[1], [2, 3, 4]]


async def test_one_call_alone_does_not_wait_for_company() -> None:
    model = Doubler()
    async with batching(model) as batcher:
        [task] = submitted(batcher, 1)
        await settle()
        assert task.done()


async def test_batches_run_side_by_side_as_far_as_is_said_each_with_its_share() -> None:
    model = Doubler()
    model.open.clear()
    async with batching(model, at_once=lambda: 2) as batcher:
        tasks = submitted(batcher, *range(1, 7))
        await settle()
        assert model.batches == [[1, 2, 3], [4, 5, 6]]
        tasks += submitted(batcher, 7)
        await settle()
        assert batcher.waiting == 1
        model.open.set()
        assert await outcomes(tasks) == [2 * each for each in range(1, 8)]


async def test_more_batches_begin_when_more_may() -> None:
    """Though none has ended."""
    model = Doubler()
    model.open.clear()
    at_once = 1
    async with batching(model, at_once=lambda: at_once) as batcher:
        tasks = submitted(batcher, 1)
        await settle()
        at_once = 2
        tasks += submitted(batcher, 2)
        await settle()
        assert model.batches == [[1], [2]]
        model.open.set()
        await outcomes(tasks)


async def test_a_batch_takes_no_longer_than_is_said() -> None:
    """By what an item took lately; one item is always taken."""
    model = Slow(seconds_an_item=0.01)
    async with batching(model, max_batch_s=0.035) as batcher:
        await outcomes(submitted(batcher, 1))
        await outcomes(submitted(batcher, *range(1, 7)))
        assert max(len(each) for each in model.batches) in {2, 3}
        model.seconds_an_item = 0.05
        await outcomes(submitted(batcher, *range(1, 9)))
        model.batches.clear()
        await outcomes(submitted(batcher, 1, 2))
    assert model.batches == [[1], [2]]


# Errors


async def test_a_models_error_reaches_every_caller_of_its_batch_and_nobody_else() -> None:
    """The next batch is run all the same."""
    async with batching(Doubler(), max_batch=3) as batcher:
        found = await outcomes(submitted(batcher, 1, -2, 3, 4, 5))
        assert [str(each) for each in found[:3]] == ["-2 is negative"] * 3
        assert all(isinstance(each, ArithmeticError) for each in found[:3])
        assert found[3:] == [8, 10]
        assert await outcomes(submitted(batcher, 6)) == [12]


async def test_too_few_results_are_an_error_for_all_and_not_an_answer_for_the_wrong_one() -> None:
    async with batching(Doubler()) as batcher:
        found = await outcomes(submitted(batcher, 0, 1, 2))
        assert [str(each) for each in found] == ["the model gave 2 results for 3 items"] * 3
        assert await outcomes(submitted(batcher, 6)) == [12]


async def test_a_full_queue_has_callers_wait_and_refuses_nobody() -> None:
    """What is to enter does so as soon as there is room."""
    model = Doubler()
    model.open.clear()
    async with batching(model, max_batch=2, max_queue=3) as batcher:
        tasks = submitted(batcher, 1, 2)
        await settle()  # these two are with the model
        tasks += submitted(batcher, 3, 4, 5)
        await settle()  # these fill the queue
        late = asyncio.create_task(batcher.enter(6))
        await settle()
        assert not late.done()
        assert batcher.waiting == 3
        model.open.set()
        assert await (await asyncio.wait_for(late, 5)) == 12
        assert await outcomes(tasks) == [2, 4, 6, 8, 10]


async def test_closing_fails_what_waits_for_room() -> None:
    model = Doubler()
    model.open.clear()
    batcher = Batcher(model, max_batch=1, max_queue=1)
    tasks = submitted(batcher, 1)
    await settle()
    tasks += submitted(batcher, 2, 3, 4)
    await settle()
    await asyncio.wait_for(batcher.close(), 5)
    assert all(isinstance(each, Overloaded) for each in await outcomes(tasks))


async def test_callers_take_turns() -> None:
    """Who has one item waiting has the next batch, alone, however many others somebody else has."""
    model = Doubler()
    model.open.clear()
    async with batching(model, max_batch=2) as batcher:
        tasks = [asyncio.create_task(batcher.submit(each, "importer")) for each in range(1, 9)]
        await settle()
        tasks.append(asyncio.create_task(batcher.submit(9, "door")))
        await settle()
        model.open.set()
        await outcomes(tasks)
    assert model.batches == [[1, 2], [9], [3, 4], [5, 6], [7, 8]]


# Callers who leave


async def test_what_a_caller_no_longer_wants_is_not_computed() -> None:
    model = Doubler()
    model.open.clear()
    async with batching(model) as batcher:
        tasks = submitted(batcher, 1)
        await settle()
        tasks += submitted(batcher, 2, 3, 4)
        await settle()
        tasks[2].cancel()
        await settle()
        model.open.set()
        found = await outcomes(tasks)
        assert isinstance(found.pop(2), asyncio.CancelledError)
        assert found == [2, 4, 8]
    assert model.batches == [[1], [2, 4]]


async def test_when_all_of_a_batch_have_left_the_model_is_not_asked() -> None:
    model = Doubler()
    model.open.clear()
    async with batching(model) as batcher:
        first = submitted(batcher, 1)
        await settle()
        left = submitted(batcher, 2, 3)
        await settle()
        for task in left:
            task.cancel()
        model.open.set()
        assert await outcomes(first) == [2]
        await outcomes(left)
        assert await outcomes(submitted(batcher, 4)) == [8]
    assert model.batches == [[1], [4]]


async def test_a_caller_who_leaves_during_the_computation_harms_nobody() -> None:
    model = Doubler()
    model.open.clear()
    async with batching(model) as batcher:
        tasks = submitted(batcher, 1, 2, 3)
        await settle()
        tasks[1].cancel()
        model.open.set()
        found = await outcomes(tasks)
        assert [found[0], found[2]] == [2, 6]
        assert await outcomes(submitted(batcher, 4)) == [8]


# The end


async def test_closing_fails_what_waits_and_what_is_computed() -> None:
    """Nobody waits for ever."""
    model = Doubler()
    model.open.clear()
    batcher = Batcher(model, max_batch=2, max_queue=10)
    tasks = submitted(batcher, 1, 2, 3, 4, 5)
    await settle()
    await asyncio.wait_for(batcher.close(), 5)
    found = await outcomes(tasks)
    assert all(isinstance(each, Overloaded) for each in found)
    assert {str(each) for each in found} == {"The service is stopping; try again in a moment."}


async def test_after_closing_nothing_is_taken() -> None:
    batcher = Batcher(Doubler(), max_batch=8, max_queue=10)
    await batcher.close()
    with pytest.raises(Overloaded):
        await asyncio.wait_for(batcher.submit(1), 0.5)


@pytest.mark.parametrize("steps", range(6))
async def test_callers_may_leave_while_it_closes(steps: int) -> None:
    """At whatever moment, the others get their error."""
    model = Doubler()
    model.open.clear()
    batcher = Batcher(model, max_batch=2, max_queue=10)
    tasks = submitted(batcher, 1, 2, 3, 4)
    await settle()
    loop = asyncio.get_running_loop()

    def leave_after(steps: int) -> None:
        if steps:
            loop.call_soon(leave_after, steps - 1)
        else:
            tasks[2].cancel()

    leave_after(steps)
    await asyncio.wait_for(batcher.close(), 5)
    found = await outcomes(tasks)
    assert all(isinstance(found[i], Overloaded) for i in (0, 1, 3))
    assert isinstance(found[2], (Overloaded, asyncio.CancelledError))
