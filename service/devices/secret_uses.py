"""When each device was let in with which of its secrets, so that a rotation never drops the one in use.

Kept in a file of FACE_DATA or, for replicas, in the Redis of their nonces: not the secrets, nor enough to find them by.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from service.errors import InvalidSettings, NoncesUnavailable
from service.extras import install_command
from service.files import locked, make_private_folder, replace_file

log = logging.getLogger(__name__)

WRITTEN_EVERY_S = 5.0
RENEWED_S = 60.0
"""A use is written where the last one of that secret is so old: a busy device causes one writing a minute."""
FILE = "secret-uses.json"
"""In FACE_DATA."""
_REDIS_TIMEOUT_S = 2.0
_KEPT_S = 400 * 24 * 3600
"""What a device's last use is kept for in Redis."""
_MARKS_KEPT = 4
"""Of a device, in the file."""

Uses = Mapping[str, Mapping[str, float]]
"""By device and mark: Unix time of the last use."""


def mark_of(device_id: str, secret: str) -> str:
    """24 bits of a digest: enough to tell a device's secrets apart, too few to find one by."""
    return hashlib.sha256(f"secret use\n{device_id}\n{secret}".encode()).hexdigest()[:6]


class UseRecord(Protocol):
    """Where uses are kept. Both methods block; they raise OSError or NoncesUnavailable where that isn't possible."""

    def write(self, uses: Uses) -> None:
        """Add these uses to those of other services; the latest of each counts."""

    def last_used(self, device_id: str, secret: str) -> datetime | None:
        """When a device was let in with a secret, None where nobody knows of that."""


class UseFile:
    """A file of JSON, for the services and commands of one FACE_DATA."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, uses: Uses) -> None:
        """See UseRecord.write."""
        make_private_folder(self._path.parent)
        with locked(self._path.with_suffix(".lock")):
            kept = self._read()
            for device_id, marks in uses.items():
                known = kept.setdefault(device_id, {})
                known |= {mark: max(at, known.get(mark, at)) for mark, at in marks.items()}
                for mark in sorted(known, key=known.__getitem__)[:-_MARKS_KEPT]:
                    del known[mark]
            replace_file(self._path, json.dumps(kept, indent=1) + "\n", new_mode=0o600)

    def last_used(self, device_id: str, secret: str) -> datetime | None:
        """See UseRecord.last_used."""
        return _time(self._read().get(device_id, {}).get(mark_of(device_id, secret)))

    def _read(self) -> dict[str, dict[str, float]]:
        """What the file says; nothing where it isn't there or was damaged, since it is a memory and no register."""
        try:
            found: Any = json.loads(self._path.read_text("utf-8"))
            return {str(name): {str(mark): float(at) for mark, at in marks.items()} for name, marks in found.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError):
            log.warning("%s is damaged, and is begun anew.", self._path)
            return {}


class UseRedis:
    """In the Redis of FACE_NONCES_URL: a hash for each device."""

    def __init__(self, url: str) -> None:
        """Raises InvalidSettings where the package redis isn't installed."""
        try:
            import redis  # an optional extra
        except ImportError:
            raise InvalidSettings(
                f"FACE_NONCES_URL needs the package redis; install it with `{install_command('redis')}`."
            ) from None
        self._failures = (redis.RedisError, OSError)
        limits: dict[str, Any] = {"socket_timeout": _REDIS_TIMEOUT_S, "socket_connect_timeout": _REDIS_TIMEOUT_S}
        self._redis: Any = redis.Redis.from_url(url, **limits)

    def write(self, uses: Uses) -> None:
        """See UseRecord.write."""
        with self._told(), self._redis.pipeline() as pipeline:
            for device_id, marks in uses.items():
                pipeline.hset(_key(device_id), mapping={mark: f"{at:.0f}" for mark, at in marks.items()})
                pipeline.expire(_key(device_id), _KEPT_S)
            pipeline.execute()

    def last_used(self, device_id: str, secret: str) -> datetime | None:
        """See UseRecord.last_used."""
        with self._told():
            found = self._redis.hget(_key(device_id), mark_of(device_id, secret))
        return None if found is None else _time(float(found))

    def _told(self) -> _Told:
        return _Told(self._failures)


class _Told:
    """Turns the failures of Redis into the one that people are told of."""

    def __init__(self, failures: tuple[type[Exception], ...]) -> None:
        self._failures = failures

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, self._failures):
            raise NoncesUnavailable(
                f"The memory of nonces can't be used ({type(error).__name__}); check FACE_NONCES_URL and Redis."
            ) from error


def open_record(data: Path, nonces_url: str | None) -> UseRecord:
    """The record of these settings. Raises InvalidSettings where Redis is asked for and its client isn't installed."""
    return UseFile(data / FILE) if nonces_url is None else UseRedis(nonces_url)


class SecretUses:
    """Collects uses as requests come, and writes them beside the event loop: a request waits for nothing."""

    def __init__(self, record: UseRecord, clock: Callable[[], float]) -> None:
        """`clock` gives Unix time in seconds."""
        self._record = record
        self._clock = clock
        self._written: dict[tuple[str, str], float] = {}
        self._new: dict[str, dict[str, float]] = {}
        self._failed = False

    def note(self, device_id: str, secret: str) -> None:
        """A device was let in with a secret just now."""
        mark, now = mark_of(device_id, secret), self._clock()
        if now - self._written.get((device_id, mark), float("-inf")) >= RENEWED_S:
            self._new.setdefault(device_id, {})[mark] = now

    async def keep(self) -> None:
        """Write what has come every few seconds, until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(WRITTEN_EVERY_S)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Write what has come. What can't be written is tried again; the log says so once."""
        new, self._new = self._new, {}
        if not new:
            return
        try:
            await asyncio.to_thread(self._record.write, new)
        except (OSError, NoncesUnavailable) as error:
            if not self._failed:
                log.warning(
                    "Which secrets devices use can't be written down (%s); rotating will ask for --anyway.", error
                )
            self._failed = True
            for device_id, marks in new.items():
                self._new[device_id] = marks | self._new.get(device_id, {})
        else:
            self._failed = False
            self._written |= {(device_id, mark): at for device_id, marks in new.items() for mark, at in marks.items()}


def _key(device_id: str) -> str:
    return f"face:secrets:{device_id}"


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
