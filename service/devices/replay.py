"""Remembers what each device was let in with lately: its nonces, so that none passes twice, and by them its rate.

In this process or, for replicas, in a Redis that they share.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from service.devices.signatures import WINDOW_S
from service.errors import InvalidSettings, NoncesUnavailable, RateExceeded
from service.extras import install_command

KEPT_S = 2 * WINDOW_S
"""Seconds that a nonce is remembered: a clock that is ahead by WINDOW_S signs what holds for so long."""
MAX_NONCES = 60_000
"""Nonces remembered of one device (100 requests a second), at most 15 MB; none is forgotten early to make room."""
MINUTE_S = 60
_REDIS_TIMEOUT_S = 2.0
"""Longest wait for Redis."""


class ReplayMemory(Protocol):
    """What authentication asks. Only requests that were let in count, so that nobody else can use up a device's share.

    Each method but `close` raises NoncesUnavailable where the memory can't be used.
    """

    async def open(self) -> None:
        """Find out, as the service starts, that it can be used."""

    async def check_rate(self, device_id: str) -> None:
        """Raises RateExceeded where the device has had its requests of this minute."""

    async def record(self, *, device_id: str, nonce: str) -> bool:
        """Let a request in, and remember its nonce; False where that was used before.

        Of two requests with the same nonce at once, one is let in. Raises RateExceeded as check_rate does, since others
        may have been let in meanwhile, and where the device has used MAX_NONCES lately.
        """

    async def close(self) -> None:
        """Let go of what it holds."""


def make_replay_memory(url: str | None, per_minute: int) -> ReplayMemory:
    """The memory for FACE_NONCES_URL: Redis, or this process's own where there is none.

    `per_minute` are the requests of a device, 0 is no limit. Raises InvalidSettings where Redis is asked for and its
    client isn't installed.
    """
    if url is None:
        return LocalReplayMemory(per_minute=per_minute, clock=time.monotonic)
    return RedisReplayMemory(url, per_minute=per_minute)


class LocalReplayMemory:
    """In this process; a restart forgets everything."""

    def __init__(self, *, per_minute: int, clock: Callable[[], float], max_nonces: int = MAX_NONCES) -> None:
        """`clock` gives seconds that never go back, so that setting the time forgets nothing."""
        self._per_minute = per_minute
        self._clock = clock
        self._max_nonces = max_nonces
        self._used: dict[str, set[str]] = {}
        self._by_time: dict[str, deque[tuple[float, str]]] = {}

    async def open(self) -> None:
        """There is nothing to open."""

    async def check_rate(self, device_id: str) -> None:
        """See ReplayMemory.check_rate."""
        by_time = self._by_time.get(device_id, ())
        if self._per_minute and len(by_time) >= self._per_minute:
            wait_s = by_time[-self._per_minute][0] + MINUTE_S - self._clock()
            if wait_s > 0:
                raise _rate_exceeded(device_id, self._per_minute, wait_s)

    async def record(self, *, device_id: str, nonce: str) -> bool:
        """See ReplayMemory.record."""
        await self.check_rate(device_id)
        now = self._clock()
        used = self._used.setdefault(device_id, set())
        by_time = self._by_time.setdefault(device_id, deque())
        while by_time and by_time[0][0] <= now - KEPT_S:
            used.remove(by_time.popleft()[1])
        if nonce in used:
            return False
        if len(used) >= self._max_nonces:
            raise _too_many(device_id, self._max_nonces)
        used.add(nonce)
        by_time.append((now, nonce))
        return True

    async def close(self) -> None:
        """There is nothing to close."""


class RedisReplayMemory:
    """In a Redis that several replicas share: one sorted set a device, by the time of use on Redis' own clock."""

    # One script, so that no other request comes between its steps. A sorted set's last `per_minute`-th element is from
    # the request that must be a minute old before the next. Without a nonce it only looks at the rate.
    _SCRIPT = """
        local used, nonce = KEYS[1], ARGV[1]
        local kept_s, max_nonces, per_minute, minute_s = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
        local time = redis.call('TIME')
        local now = time[1] + time[2] / 1000000
        -- Where Redis' clock was set back, what was used later than now was used just now.
        for _, later in ipairs(redis.call('ZRANGEBYSCORE', used, string.format('(%.6f', now), '+inf')) do
            redis.call('ZADD', used, now, later)
        end
        if per_minute > 0 then
            local score = redis.call('ZRANGE', used, -per_minute, -per_minute, 'WITHSCORES')[2]
            if score and score + minute_s > now then return {'rate', tostring(score + minute_s - now)} end
        end
        if nonce == '' then return {'free'} end
        redis.call('ZREMRANGEBYSCORE', used, '-inf', now - kept_s)
        if redis.call('ZSCORE', used, nonce) then return {'used'} end
        if redis.call('ZCARD', used) >= max_nonces then return {'full'} end
        redis.call('ZADD', used, now, nonce)
        redis.call('EXPIRE', used, kept_s + 1)
        return {'new'}
    """

    def __init__(self, url: str, *, per_minute: int, max_nonces: int = MAX_NONCES) -> None:
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
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),  # for a connection that a restart of Redis has broken
        )
        self._script = self._redis.register_script(self._SCRIPT)
        self._per_minute = per_minute
        self._max_nonces = max_nonces

    async def open(self) -> None:
        """Let Redis remember a nonce, and forget it again. Raises NoncesUnavailable."""
        # Nothing that a device could be named, and without a limit; a Redis that can only be read refuses it.
        await self._run(device_id="", nonce="opened", per_minute=0)

    async def check_rate(self, device_id: str) -> None:
        """See ReplayMemory.check_rate."""
        if self._per_minute:
            await self._run(device_id=device_id, nonce="", per_minute=self._per_minute)

    async def record(self, *, device_id: str, nonce: str) -> bool:
        """See ReplayMemory.record."""
        return await self._run(device_id=device_id, nonce=nonce, per_minute=self._per_minute) == b"new"

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _run(self, *, device_id: str, nonce: str, per_minute: int) -> bytes:
        """What the script says: `new`, `used` or `free`. Raises RateExceeded or NoncesUnavailable."""
        try:
            answer, *wait_s = await self._script(
                keys=[f"face:nonces:{device_id}"], args=[nonce, KEPT_S, self._max_nonces, per_minute, MINUTE_S]
            )
        except self._failures as error:
            raise NoncesUnavailable(
                f"The memory of nonces can't be used ({type(error).__name__}); check FACE_NONCES_URL and Redis."
            ) from error
        if answer == b"rate":
            raise _rate_exceeded(device_id, per_minute, float(wait_s[0]))
        if answer == b"full":
            raise _too_many(device_id, self._max_nonces)
        return bytes(answer)


def _rate_exceeded(device_id: str, per_minute: int, wait_s: float) -> RateExceeded:
    return RateExceeded(f"{device_id} may make {per_minute} requests a minute; try again in {math.ceil(wait_s)} s.")


def _too_many(device_id: str, max_nonces: int) -> RateExceeded:
    return RateExceeded(
        f"{device_id} made {max_nonces} requests within {KEPT_S // 60} minutes; try again in some minutes."
    )
