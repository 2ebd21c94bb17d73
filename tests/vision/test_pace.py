"""How long those wait who come too often."""

from __future__ import annotations

import pytest

from service.vision.pace import Pace


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(in_a_row=3, per_s=10, longest_s=1, clock=clock)


def test_the_first_ones_do_not_wait(pace: Pace) -> None:
    assert [pace.wait_s() for _ in range(3)] == [0, 0, 0]


def test_the_next_ones_wait_so_that_they_come_evenly(pace: Pace) -> None:
    assert [pace.wait_s() for _ in range(6)][3:] == pytest.approx([0.1, 0.2, 0.3])


def test_nobody_waits_longer_than_that(pace: Pace, clock: Clock) -> None:
    """However many came, and those do not make later ones wait for longer."""
    assert max(pace.wait_s() for _ in range(100_000)) == pytest.approx(1)
    clock.now += 1
    assert pace.wait_s() == pytest.approx(0.1)


def test_after_a_pause_as_many_may_come_in_a_row_again(pace: Pace, clock: Clock) -> None:
    for _ in range(8):
        pace.wait_s()
    clock.now += 1000
    assert [pace.wait_s() for _ in range(4)] == pytest.approx([0, 0, 0, 0.1])
