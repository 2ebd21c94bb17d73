"""Requests a minute: exactly as many as are allowed, each device by itself."""

from __future__ import annotations

import pytest

from service.devices.rates import Rates
from service.errors import RateExceeded
from tests.devices.test_replay import Clock


def test_as_many_as_allowed_within_any_minute() -> None:
    """The oldest makes room when it is a minute old, to the second that the sentence says."""
    clock = Clock()
    rates = Rates(2, clock)
    for _ in range(2):
        rates.check("door-7")
        rates.count("door-7")
        clock.now += 20
    with pytest.raises(RateExceeded, match="try again in 20 s"):
        rates.check("door-7")
    rates.check("other")
    clock.now += 20
    rates.check("door-7")
    rates.count("door-7")
    with pytest.raises(RateExceeded, match="try again in 20 s"):
        rates.check("door-7")


def test_zero_is_no_limit() -> None:
    rates = Rates(0, Clock())
    for _ in range(1000):
        rates.check("door-7")
        rates.count("door-7")
