"""How much comes in at once, and what was too much, for the metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.http.connection_limits import ConnectionLimits
from service.http.uploads import Uploads


class CrowdMetrics(Collector):
    """Asked at each scrape."""

    def __init__(self, limits: ConnectionLimits, uploads: Uploads) -> None:
        self._limits = limits
        self._uploads = uploads

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """For prometheus_client."""
        yield GaugeMetricFamily("face_connections", "Open connections.", self._limits.count)
        closed = CounterMetricFamily(
            "face_connections_closed", "Connections that the service closed for being too many.", labels=["reason"]
        )
        for reason, count in self._limits.closed_by_reason.items():
            closed.add_metric([reason], count)
        yield closed
        yield GaugeMetricFamily(
            "face_upload_bytes", "Bytes of photos in memory that came over the network.", self._uploads.held_bytes
        )
        yield CounterMetricFamily(
            "face_uploads_refused", "Requests refused for the bytes of all photos in memory.", self._uploads.refused
        )
