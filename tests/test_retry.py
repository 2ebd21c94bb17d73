"""What is repeated, how often, how long, and with which pauses."""

from __future__ import annotations

import asyncio

import pytest

from service.retry import Backoff, retry

SHORT = Backoff(first_s=0.001, longest_s=0.002)


class Attempts:
    """Fails so many times, then answers how often it was asked."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.count = 0
        self._failures = failures
        self._error = error

    async def __call__(self) -> int:
        self.count += 1
        if self.count <= self._failures:
            raise self._error(str(self.count))
        return self.count


def is_transient(error: Exception) -> bool:
    return isinstance(error, ConnectionError)


async def test_a_transient_error_is_repeated() -> None:
    """And who asked is told each error, with the time that is left."""
    told: list[tuple[str, float]] = []
    answer = await retry(
        Attempts(2),
        SHORT,
        transient=is_transient,
        limit_s=60,
        on_retry=lambda error, left_s: told.append((str(error), left_s)),
    )
    assert answer == 3
    assert [error for error, _ in told] == ["1", "2"]
    assert all(59 < left_s <= 60 for _, left_s in told)


async def test_another_error_is_not_repeated() -> None:
    attempts = Attempts(1, ValueError)
    with pytest.raises(ValueError, match="1"):
        await retry(attempts, SHORT, transient=is_transient, limit_s=60)
    assert attempts.count == 1


async def test_the_last_attempt_s_error_is_raised() -> None:
    attempts = Attempts(100)
    with pytest.raises(ConnectionError, match="4"):
        await retry(attempts, SHORT, transient=is_transient, limit_s=60, max_attempts=4)
    assert attempts.count == 4


async def test_time_ends_it_too() -> None:
    """The last pause is cut to what is left, and one more attempt follows it."""
    attempts = Attempts(100)
    begin = asyncio.get_running_loop().time()
    with pytest.raises(ConnectionError):
        await retry(attempts, Backoff(first_s=60, longest_s=60), transient=is_transient, limit_s=0.1)
    assert asyncio.get_running_loop().time() - begin >= 0.1
    assert attempts.count == 2


def test_pauses_grow_and_differ() -> None:
    """Around 0.1, 0.3, 0.9 and then 0.9 s, however many failures there were, and seldom twice the same."""
    backoff = Backoff(first_s=0.1, longest_s=0.9, factor=3)
    for failures, middle_s in ((1, 0.1), (2, 0.3), (3, 0.9), (4, 0.9), (100_000, 0.9)):
        pauses = {backoff.pause_s(failures) for _ in range(50)}
        assert all(middle_s * 0.5 <= each <= middle_s * 1.5 for each in pauses)
        assert len(pauses) > 40
