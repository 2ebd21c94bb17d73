"""What came lately, for operators who look on: how long the last photos took, and who called, with what success."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TIMED = 500
"""So many of the last requests with photos count for the times of stages."""
CALLERS = 1000
"""So many callers are remembered; the one that called least lately is forgotten first."""
NAMELESS = 200
"""So many of those may be addresses that nobody vouches for, so that they push no device out."""
REASONS = 32
"""So many reasons of refusals are kept of a caller; there are about fifty slugs in all."""

TOTAL = "total"


@dataclass(slots=True)
class Caller:
    """A device or key by its name, or an address (`client`) where no name is known; when it called last, and how often.

    `refusals` counts the requests that weren't carried out, by the slug of the reason.
    """

    name: str | None
    client: str
    last_at: datetime
    requests: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """Half of the last `requests` took `median_ms` for the stage or less, 19 of 20 `p95_ms` or less."""

    stage: str
    requests: int
    median_ms: float
    p95_ms: float


class Recent:
    """Remembers a bounded part of what RequestLog records."""

    def __init__(self) -> None:
        self._timed: deque[Mapping[str, float]] = deque(maxlen=TIMED)
        self._named: OrderedDict[str, Caller] = OrderedDict()
        self._nameless: OrderedDict[str, Caller] = OrderedDict()

    def record(
        self,
        *,
        name: str | None,
        client: str,
        reason: str,
        now: datetime,
        took_ms: float,
        stages_ms: Mapping[str, float],
    ) -> None:
        """One answered request. `name` is a device's or key's that is known here; `now` is aware."""
        if stages_ms:
            self._timed.append({**stages_ms, TOTAL: took_ms})
        callers, key, most = (
            (self._nameless, client, NAMELESS) if name is None else (self._named, name, CALLERS - NAMELESS)
        )
        caller = callers.setdefault(key, Caller(name, client, now))
        callers.move_to_end(key)
        if len(callers) > most:
            callers.popitem(last=False)
        caller.client, caller.last_at = client, now
        caller.requests += 1
        if reason != "ok" and (reason in caller.refusals or len(caller.refusals) < REASONS):
            caller.refusals[reason] += 1

    def callers(self) -> list[Caller]:
        """Who called, the latest first."""
        everybody = [*self._named.values(), *self._nameless.values()]
        return sorted(everybody, key=lambda each: each.last_at, reverse=True)

    def stages(self) -> list[StageTime]:
        """Of the last requests, in the order in which a request goes through them; the whole last."""
        times: dict[str, list[float]] = {}
        for each in self._timed:
            for stage, took_ms in each.items():
                times.setdefault(stage, []).append(took_ms)
        whole = times.pop(TOTAL, None)
        if whole is not None:
            times[TOTAL] = whole
        return [_stage_time(stage, sorted(took)) for stage, took in times.items()]


def _stage_time(stage: str, took_ms: list[float]) -> StageTime:
    def reached(share: float) -> float:
        return round(took_ms[math.ceil(share * len(took_ms)) - 1], 1)

    return StageTime(stage=stage, requests=len(took_ms), median_ms=reached(0.5), p95_ms=reached(0.95))
