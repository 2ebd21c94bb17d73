"""Remembers which nonces a device has used, in this process or, for replicas, in a Redis that they share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from service.devices.signatures import WINDOW_S
from service.errors import InvalidSettings, NoncesUnavailable, RateExceeded
from service.extras import install_command

KEPT_S = 2 * WINDOW_S
"""Seconds that a nonce is remembered: a clock that is ahead by WINDOW_S signs what holds for so long."""
MOST = 60_000
"""Nonces remembered of one device (100 requests a second), at most 15 MB; none is forgotten early to make room."""
_PATIENCE_S = 2.0
"""Longest wait for Redis."""


class Nonces(Protocol):
    """What the door asks of a memory of nonces."""

    async def open(self) -> None:
        """Raises NoncesUnavailable where the memory can't be used."""

    async def record(self, device_id: str, nonce: str) -> bool:
        """Remember the nonce; whether it is new. Of two requests with the same nonce at once, one is new.

        Raises RateExceeded where the device has used MOST nonces lately, NoncesUnavailable where it can't be known.
        """

    async def close(self) -> None: ...


def make_nonces(url: str | None) -> Nonces:
    """The memory for FACE_NONCES_URL: Redis, or this process's own where there is none.

    Raises InvalidSettings where Redis is asked for and its client isn't installed.
    """
    return MemoryNonces(time.monotonic) if url is None else RedisNonces(url)


class MemoryNonces:
    """In this process; a restart forgets them."""

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        """`clock` gives seconds that never go back, so that setting the time forgets nothing."""
        self._clock = clock
        self._most = most
        self._used: dict[str, set[str]] = {}
        self._order: dict[str, deque[tuple[float, str]]] = {}

    async def open(self) -> None:
        """There is nothing to open."""

    async def record(self, device_id: str, nonce: str) -> bool:
        now = self._clock()
        used = self._used.setdefault(device_id, set())
        order = self._order.setdefault(device_id, deque())
        while order and order[0][0] <= now - KEPT_S:
            used.remove(order.popleft()[1])
        if nonce in used:
            return False
        if len(used) >= self._most:
            raise _too_many(device_id, self._most)
        used.add(nonce)
        order.append((now, nonce))
        return True

    async def close(self) -> None:
        """There is nothing to close."""


class RedisNonces:
    """In a Redis that several replicas share: one sorted set a device, by the time of use on Redis' own clock."""

    # One script, so that no other request comes between its steps.
    _RECORD = """
        local seconds = redis.call('TIME')[1]
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', seconds - ARGV[2])
        if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
        if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end
        redis.call('ZADD', KEYS[1], seconds, ARGV[1])
        redis.call('EXPIRE', KEYS[1], ARGV[2] + 1)
        return 1
    """

    def __init__(self, url: str, most: int = MOST) -> None:
        """Raises InvalidSettings where the package redis isn't installed."""
        try:
            import redis.asyncio  # an optional extra
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise InvalidSettings(
                f"FACE_NONCES_URL needs the package redis; install it with `{install_command('redis')}`."
            ) from None
        self._failures = (redis.RedisError, OSError)
        self._redis = redis.asyncio.from_url(
            url,
            socket_timeout=_PATIENCE_S,
            socket_connect_timeout=_PATIENCE_S,
            retry=Retry(NoBackoff(), 1),  # for a connection that a restart of Redis has broken
        )
        self._record = self._redis.register_script(self._RECORD)
        self._most = most

    async def open(self) -> None:
        await self.record("", "opened")  # a device can't be named so; a Redis that only reads would refuse it

    async def record(self, device_id: str, nonce: str) -> bool:
        try:
            answer = await self._record(keys=[f"face:nonces:{device_id}"], args=[nonce, KEPT_S, self._most])
        except self._failures as error:
            raise NoncesUnavailable(
                f"The memory of nonces can't be used ({type(error).__name__}); check FACE_NONCES_URL and Redis."
            ) from error
        if answer == -1:
            raise _too_many(device_id, self._most)
        return bool(answer)

    async def close(self) -> None:
        await self._redis.aclose()


def _too_many(device_id: str, most: int) -> RateExceeded:
    return RateExceeded(f"{device_id} made {most} requests within {KEPT_S // 60} minutes; try again in some minutes.")
