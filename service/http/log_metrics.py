"""The metric of log lines that nobody read."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from service.log_writer import LogWriter


class DroppedLines(Collector):
    """The counter face_log_lines_dropped_total."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def collect(self) -> Iterator[CounterMetricFamily]:
        """How many there were, for prometheus_client."""
        counter = CounterMetricFamily("face_log_lines_dropped", "Log lines that were dropped, as nobody read the log.")
        counter.add_metric([], self._writer.dropped)
        yield counter
