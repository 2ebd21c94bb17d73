"""When an embedded gallery is made anew: something removed must go from its disk, or its search index has grown old.

Nothing here is waited for by requests; what fails is logged, and tried again later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.stores.edge.durable_shard import DurableShard
from service.stores.edge.erasure import ErasureFile
from service.stores.edge.renewal import Renewal

log = logging.getLogger(__name__)

LEAD_S = 2 * 3600.0
"""Erasing begins so long before it must be done, or at half of the time where that is shorter."""

CHECK_S = 60.0
"""Between two looks at whether something is to be done; less where little time is given for erasing."""

RETRY_S = 600.0
"""After one that failed."""

STALE_SHARE = 0.25
"""Unindexed faces are searched one by one: an index is built when so many of all are, and not fewer than INDEX_FROM."""

STEP_EVERY_S = 0.05
"""How often a step is taken while requests come one after another."""


@dataclass(frozen=True, slots=True)
class UpkeepRules:
    """What is done by itself."""

    purge_s: int = 0
    """Seconds within which nothing of a removed face is on disk any more; 0 leaves it there."""
    index_from: int = 0
    """Unindexed faces from which an index is built; 0 builds none."""


class Upkeep:
    """Of one gallery, whose process calls `step` when it has nothing else to do, and now and then when it has."""

    def __init__(self, folder: Path, shard: DurableShard, rules: UpkeepRules) -> None:
        self._folder = folder
        self._shard = shard
        self._rules = rules
        self.erasure = ErasureFile(folder)
        self.renewal: Renewal | None = None
        self._erased_since: float | None = None  # removed while the renewal ran, which may have it
        self._next_check = 0.0
        self._next_step = 0.0
        self._indexed_at = 0  # faces that weren't indexed after the last building
        shard.before_change, shard.before_erasure = self._note_change, self._note_erasure

    @property
    def pause_s(self) -> float:
        """How long to wait for a request before the next step."""
        if self.renewal is not None:
            return self.renewal.pause_s
        return max(0.0, self._next_check - time.monotonic())

    def step(self) -> None:
        """Go on with a renewal, or see whether one is to begin. What ends the process leaves the gallery whole."""
        now = time.monotonic()
        try:
            if self.renewal is not None:
                self._go_on(self.renewal)
            elif now >= self._next_check:
                self._next_check = now + min(CHECK_S, max(0.1, self._rules.purge_s / 10 or CHECK_S))
                if self._is_due():
                    self._begin()
        except Exception as error:  # Edge raises plain Exceptions
            if self.renewal is not None and not self._shard.is_loaded:
                raise  # in the midst of the exchange, which the next process finishes
            self.cancel()
            self._postpone(error)
        self._next_step = time.monotonic() + STEP_EVERY_S

    def step_if_late(self) -> None:
        """A step, unless there was one a moment ago: requests that never pause must not keep it from ending."""
        if time.monotonic() >= self._next_step:
            self.step()

    def renew(self) -> None:
        """From the beginning to the end, while nothing else is done. Raises StoreUnavailable."""
        self.cancel()
        self._begin()
        try:
            while self.renewal is not None:
                self._go_on(self.renewal)
                time.sleep(0 if self.renewal is None else self.renewal.pause_s)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Give up a renewal that goes on; the gallery stays as it was."""
        if self.renewal is not None:
            self.renewal.cancel()
            self.renewal = None

    def _is_due(self) -> bool:
        if not self._shard.is_loaded:
            return False
        pending_s = self.erasure.pending_s()
        if self._rules.purge_s and pending_s is not None:
            lead_s = min(LEAD_S, self._rules.purge_s / 2)
            if pending_s >= self._rules.purge_s - lead_s:
                return True
        return self._is_index_old()

    def _is_index_old(self) -> bool:
        if not self._rules.index_from:
            return False
        info = self._shard.edge.info()
        unindexed = info.points_count - info.indexed_vectors_count
        least = max(self._rules.index_from, int(info.points_count * STALE_SHARE))
        return unindexed >= self._indexed_at + least

    def _begin(self) -> None:
        self._erased_since = None
        self._shard.sync()
        self.renewal = Renewal(self._shard, self._folder)

    def _go_on(self, renewal: Renewal) -> None:
        if renewal.step():
            self._finish()

    def _finish(self) -> None:
        self.renewal = None
        self.erasure.settle(self._erased_since)
        info = self._shard.edge.info()
        self._indexed_at = max(0, info.points_count - info.indexed_vectors_count)

    def _postpone(self, error: Exception) -> None:
        retry_s = min(RETRY_S, max(1.0, self._rules.purge_s / 10 or RETRY_S))
        self._next_check = time.monotonic() + retry_s
        log.warning("The gallery could not be made anew, which is tried again in %.0f s: %s", retry_s, error)

    def _note_change(self, face_ids: Sequence[int]) -> None:
        if self.renewal is not None:
            self.renewal.note(face_ids)

    def _note_erasure(self) -> None:
        self.erasure.note()
        if self.renewal is not None and self._erased_since is None:
            self._erased_since = self.erasure.now()
