"""Each address may do something so often in a row, and so often a second from then on."""

from __future__ import annotations

import pytest

from service.http import allowances
from service.http.allowances import Allowances, Debts
from tests.support.clock import Clock


def test_so_often_in_a_row_and_then_so_often_a_second() -> None:
    """Others have their own."""
    clock = Clock()
    ours = Allowances(per_s=2, burst=3, clock=clock)
    assert [ours.take("192.0.2.1") for _ in range(5)] == [True, True, True, False, False]
    assert ours.take("192.0.2.2")
    clock.now += 1
    assert [ours.take("192.0.2.1") for _ in range(3)] == [True, True, False]
    clock.now += 1000
    assert [ours.take("192.0.2.1") for _ in range(4)] == [True, True, True, False]


def test_asking_in_vain_costs_nothing() -> None:
    """Who is refused often has as much back after a second as anybody."""
    clock = Clock()
    ours = Allowances(per_s=1, burst=1, clock=clock)
    assert ours.take("192.0.2.1")
    again = []
    for _ in range(16):
        clock.now += 0.0625
        again.append(ours.take("192.0.2.1"))
    assert again == [False] * 15 + [True]
    assert not ours.take("192.0.2.1")


def test_addresses_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "MAX_KNOWN", 3)
    ours = Allowances(per_s=0, burst=1, clock=Clock())
    assert all(ours.take(f"192.0.2.{number}") for number in range(100))
    assert not ours.take("192.0.2.99")
    assert len(ours._left) == 3


class TestDebts:
    def test_what_is_beyond_waits_until_it_is_forgiven(self) -> None:
        """Others owe nothing, what was paid back doesn't count, and nobody waits too long."""
        clock = Clock()
        ours = Debts(per_s=2, in_a_row=3, longest_s=5, clock=clock)
        assert [ours.add("192.0.2.1") for _ in range(5)] == [0, 0, 0, 0.5, 1]
        assert (ours.wait_s("192.0.2.1"), ours.wait_s("192.0.2.2"), ours.add("192.0.2.2", 4)) == (1, 0, 0.5)
        clock.now += 0.5
        assert ours.wait_s("192.0.2.1") == 0.5
        assert ours.add("192.0.2.1", -100) == 0
        assert ours.add("192.0.2.1", 3.5) == 0.25
        assert ours.add("192.0.2.1", 1e9) == 5
        clock.now += 5
        assert ours.wait_s("192.0.2.1") == 0

    def test_debts_take_bounded_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(allowances, "MAX_KNOWN", 3)
        ours = Debts(per_s=1, in_a_row=1, longest_s=5, clock=Clock())
        for number in range(100):
            ours.add(f"192.0.2.{number}", 2)
        assert ours.wait_s("192.0.2.99") == 1
        assert len(ours._owed) == 3
