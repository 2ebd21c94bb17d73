"""How many faces the gallery has, and since when removed ones are on its disk, for the metrics; nobody waits long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.values import Erasure

log = logging.getLogger(__name__)

MAX_AGE_S = 10.0
"""A count that is older is made again when it is asked for, so that a count of millions isn't made at each scrape."""
STALE_S = 120.0
"""A count that is older isn't told any more."""
WAIT_S = 1.0
"""Longest that a scrape waits for a count. One that takes longer goes on, and a later scrape tells it."""


class GallerySize(Collector):
    """The gauges face_gallery_faces and face_purge_…; they have no samples where the store has told nothing lately.

    The store is asked because other replicas and the indexer change a gallery too.
    """

    def __init__(
        self,
        count: Callable[[], Awaitable[int]],
        clock: Callable[[], float] = time.monotonic,
        erasure: Callable[[], Awaitable[Erasure | None]] | None = None,
    ) -> None:
        """`count` and `erasure` ask the store and may raise anything; `clock` gives seconds that never go back."""
        self._count = count
        self._ask_erasure = erasure
        self._clock = clock
        self._erasure: Erasure | None = None
        self._faces = 0
        self._counted_at = float("-inf")
        self._counting: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Count if the last count is too old, and wait WAIT_S for it at most. Raises nothing."""
        if self._counting is None and self._clock() - self._counted_at > MAX_AGE_S:
            self._counting = asyncio.create_task(self._update(), name="gallery size")
        if self._counting is not None:
            await asyncio.wait([self._counting], timeout=WAIT_S)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The last count, for prometheus_client."""
        gauge = GaugeMetricFamily("face_gallery_faces", "Faces in the gallery; absent while the store doesn't tell.")
        if self._clock() - self._counted_at <= STALE_S:
            gauge.add_metric([], self._faces)
        yield gauge
        if self._ask_erasure is not None:
            yield from self._purges(self._erasure if gauge.samples else None)

    @staticmethod
    def _purges(erasure: Erasure | None) -> Iterator[GaugeMetricFamily]:
        pending = GaugeMetricFamily(
            "face_purge_pending_seconds",
            "For how long something of removed faces has been in the gallery's files; 0 for nothing.",
        )
        last = GaugeMetricFamily(
            "face_purge_last_timestamp_seconds", "When what was removed was erased from the gallery's files last."
        )
        if erasure is not None:
            since = erasure.pending_since
            pending.add_metric([], 0.0 if since is None else max(0.0, time.time() - since))
        if erasure is not None and erasure.erased_at is not None:
            last.add_metric([], erasure.erased_at)
        yield from (pending, last)

    async def close(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait([self._counting])

    async def _update(self) -> None:
        try:
            self._faces = await self._count()
            if self._ask_erasure is not None:
                self._erasure = await self._ask_erasure()
            self._counted_at = self._clock()
        except Exception as error:  # noqa: BLE001 - the metrics of all else are told nevertheless
            log.debug("The gallery's faces can't be counted (%s).", type(error).__name__)
        finally:
            self._counting = None
