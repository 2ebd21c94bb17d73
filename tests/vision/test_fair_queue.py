"""Callers take turns: who comes with one thing doesn't wait for all that somebody else has brought."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import Overloaded
from service.vision.fair_queue import MAX_LATE, FairQueue, Turns


def filled(*waiting: tuple[str, int]) -> FairQueue[int]:
    queue: FairQueue[int] = FairQueue()
    for caller, item in waiting:
        queue.put(caller, item)
    return queue


def drained(queue: FairQueue[int]) -> list[int]:
    return [queue.pop() for _ in range(len(queue))]


class TestTheQueue:
    def test_one_caller_is_served_in_order(self) -> None:
        assert drained(filled(*(("a", each) for each in range(5)))) == [0, 1, 2, 3, 4]

    def test_several_take_turns_whatever_each_has_waiting(self) -> None:
        queue = filled(*(("importer", each) for each in range(4)), ("door", 10), ("gate", 20), ("door", 11))
        assert drained(queue) == [0, 10, 20, 1, 11, 2, 3]

    def test_who_comes_back_at_once_waits_for_the_others_turns(self) -> None:
        queue = filled(("greedy", 1), ("door", 10))
        assert queue.pop() == 1
        queue.put("greedy", 2)
        assert drained(queue) == [10, 2]

    def test_nothing_is_left_of_callers_who_have_nothing_waiting(self) -> None:
        """Else names would fill the memory."""
        queue = filled(*((str(each), each) for each in range(1000)))
        drained(queue)
        assert len(queue) == 0
        assert [*queue._round, *queue._next_round, *queue._had_turn] == []

    def test_who_comes_has_a_turn_before_anybodys_second(self) -> None:
        queue = filled(("importer", 0), ("importer", 1), ("importer", 2))
        assert queue.pop() == 0
        queue.put("door", 10)
        queue.put("door", 11)
        assert drained(queue) == [10, 1, 11, 2]

    def test_those_who_come_do_not_keep_the_others_from_their_turns(self) -> None:
        """However many of them come."""
        queue = filled(("importer", 0), ("importer", 1))
        popped = [queue.pop()]
        for each in range(100):
            queue.put(f"door{each}", 10 + each)
            queue.put(f"gate{each}", 200 + each)
            popped.append(queue.pop())
        assert popped.index(1) <= MAX_LATE + 1

    def test_a_callers_items_are_taken_together(self) -> None:
        queue = filled(*(("importer", each) for each in range(5)))
        assert [queue.pop_together(3), queue.pop_together(3)] == [[0, 1, 2], [3, 4]]

    def test_the_single_items_of_several_are_taken_together(self) -> None:
        queue = filled(*((str(each), each) for each in range(5)))
        assert [queue.pop_together(3), queue.pop_together(3)] == [[0, 1, 2], [3, 4]]

    def test_a_single_item_is_not_taken_with_somebodys_second(self) -> None:
        """It would take as long as all of them."""
        queue = filled(*(("importer", each) for each in range(4)), ("door", 10))
        assert [queue.pop_together(8), queue.pop_together(8)] == [[0, 10], [1, 2, 3]]

    def test_those_who_all_have_more_are_taken_in_turns(self) -> None:
        queue = filled(*(("a", each) for each in range(4)), *(("b", 10 + each) for each in range(2)))
        assert [queue.pop_together(8), queue.pop_together(8)] == [[0, 10, 1, 11], [2, 3]]

    def test_an_empty_one_has_no_next(self) -> None:
        with pytest.raises(IndexError):
            filled().pop()
        with pytest.raises(IndexError):
            filled().pop_together(2)

    def test_what_makes_room_is_the_newest_of_who_has_most(self) -> None:
        queue = filled(*(("importer", each) for each in range(4)), ("door", 10))
        assert queue.shed("gate") == 3
        assert drained(queue) == [0, 10, 1, 2]

    @pytest.mark.parametrize("caller", ["importer", "door"])
    def test_nobody_makes_room_for_who_has_as_many(self, caller: str) -> None:
        queue = filled(("importer", 0), ("importer", 1), ("door", 10))
        assert queue.shed(caller) is None
        assert len(queue) == 3

    def test_an_empty_one_can_make_no_room(self) -> None:
        assert filled().shed("door") is None


class Work:
    """Notes who works, one after another."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.go_on = asyncio.Event()

    async def one(self, caller: str) -> None:
        async with self.turns.turn(caller):
            self.began.append(caller)
            await self.go_on.wait()

    def begin(self, *callers: str) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.one(each)) for each in callers]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def outcomes(tasks: list[asyncio.Task[None]]) -> list[BaseException | None]:
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)


class TestTurns:
    async def test_only_so_many_work_at_once(self) -> None:
        work = Work(Turns(2, max_waiting=10))
        tasks = work.begin("a", "a", "a", "b")
        await settle()
        assert work.began == ["a", "a"]
        assert work.turns.waiting == 4
        work.go_on.set()
        assert await outcomes(tasks) == [None] * 4
        assert work.turns.waiting == 0

    async def test_callers_take_turns(self) -> None:
        work = Work(Turns(1, max_waiting=100))
        tasks = work.begin(*["importer"] * 6, "door", "gate")
        await settle()
        work.go_on.set()
        await outcomes(tasks)
        assert work.began == ["importer", "importer", "door", "gate", *["importer"] * 4]

    async def test_what_is_too_much_is_refused_at_once(self) -> None:
        work = Work(Turns(1, max_waiting=3))
        tasks = work.begin(*["importer"] * 3)
        await settle()
        [refused] = await outcomes(work.begin("importer"))
        assert isinstance(refused, Overloaded)
        work.go_on.set()
        assert await outcomes(tasks) == [None] * 3

    async def test_another_caller_gets_the_room_of_who_has_most(self) -> None:
        """What has begun is never refused for that."""
        work = Work(Turns(1, max_waiting=4))
        tasks = work.begin(*["importer"] * 4, "door")
        await settle()
        work.go_on.set()
        found = await outcomes(tasks)
        assert [type(each) for each in found] == [type(None)] * 3 + [Overloaded, type(None)]
        assert work.began == ["importer", "importer", "door", "importer"]

    async def test_where_all_have_as_many_the_newcomer_is_refused(self) -> None:
        work = Work(Turns(1, max_waiting=3))
        tasks = work.begin("a", "b", "c", "d")
        await settle()
        work.go_on.set()
        assert [type(each) for each in await outcomes(tasks)] == [type(None)] * 3 + [Overloaded]

    @pytest.mark.parametrize("steps", range(6))
    async def test_who_leaves_while_waiting_takes_no_turn_along(self, steps: int) -> None:
        """At whatever moment, also at that in which the turn comes."""
        work = Work(Turns(1, max_waiting=10))
        tasks = work.begin("a", "b", "c")
        await settle()
        work.go_on.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        tasks[1].cancel()
        found = await outcomes(tasks)
        assert (found[0], found[2]) == (None, None)
        assert work.turns.waiting == 0
        assert await outcomes(work.begin("d")) == [None]

    async def test_a_failure_ends_its_turn(self) -> None:
        turns = Turns(1, max_waiting=2)
        for _ in range(3):
            with pytest.raises(ArithmeticError):
                async with turns.turn("a"):
                    raise ArithmeticError
        assert turns.waiting == 0

    async def test_closing_refuses_who_waits_and_who_comes(self) -> None:
        """Who has begun finishes."""
        work = Work(Turns(1, max_waiting=9))
        tasks = work.begin("a", "a", "b")
        await settle()
        work.turns.close()
        work.go_on.set()
        tasks += work.begin("c")
        assert [type(each) for each in await outcomes(tasks)] == [type(None)] + [Overloaded] * 3

    async def test_closing_refuses_whose_turn_was_given_that_very_moment(self) -> None:
        """What the turn is for may be gone when it begins."""
        work = Work(turns := Turns(1, max_waiting=9))
        async with turns.turn("a"):
            tasks = work.begin("b")
            await settle()
        turns.close()
        assert [type(each) for each in await outcomes(tasks)] == [Overloaded]
        assert (work.began, turns.waiting) == ([], 0)


class TestALentTurn:
    async def test_others_work_meanwhile_and_it_comes_back_before_new_ones(self) -> None:
        turns, order = Turns(1, max_waiting=10), []
        decoded = asyncio.Event()

        async def unusual() -> None:
            async with turns.turn("camera") as turn:
                async with turn.lent():
                    await decoded.wait()
                order.append("unusual")

        async def door(name: str) -> None:
            async with turns.turn("door"):
                order.append(name)
                decoded.set()
                await asyncio.sleep(0)

        await asyncio.wait_for(asyncio.gather(unusual(), door("first"), door("second")), 5)
        assert order == ["first", "unusual", "second"]
        assert turns.waiting == 0

    async def test_it_counts_as_waiting(self) -> None:
        turns = Turns(1, max_waiting=1)
        async with turns.turn("camera") as turn, turn.lent():
            assert turns.waiting == 1
            with pytest.raises(Overloaded):
                async with turns.turn("door"):
                    pass

    async def test_one_who_gives_up_meanwhile_leaves_no_turn_taken_nor_given_twice(self) -> None:
        turns = Turns(1, max_waiting=10)

        async def unusual(forever: asyncio.Event) -> None:
            async with turns.turn("camera") as turn, turn.lent():
                await forever.wait()

        task = asyncio.create_task(unusual(asyncio.Event()))
        await asyncio.sleep(0)
        async with turns.turn("door"):
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert turns.waiting == 0
        async with turns.turn("door"):
            assert turns.waiting == 1

    async def test_closing_refuses_who_wants_it_back(self) -> None:
        turns = Turns(1, max_waiting=10)
        with pytest.raises(Overloaded):
            async with turns.turn("camera") as turn, turn.lent():
                turns.close()
        assert turns.waiting == 0

    async def test_closing_refuses_who_has_it_back_that_very_moment(self) -> None:
        turns, decoded = Turns(1, max_waiting=10), asyncio.Event()

        async def unusual() -> None:
            async with turns.turn("camera") as turn, turn.lent():
                await decoded.wait()

        task = asyncio.create_task(unusual())
        await settle()
        async with turns.turn("door"):
            decoded.set()
            await settle()
        turns.close()
        assert [type(each) for each in await outcomes([task])] == [Overloaded]
        assert turns.waiting == 0
