"""The Prometheus names that the service counts under, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counts the requests and times their timings."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "face_requests",
            "Requests answered, by route and the answer's code.",
            ["route", "code"],
            registry=self._registry,
        )
        self._stages = Histogram(
            "face_stage_seconds",
            "Time of each stage of a request.",
            ["stage"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def record(self, route: str, code: str, milliseconds: dict[str, float]) -> None:
        """One answered request and the milliseconds of its timings."""
        self._requests.labels(route, code).inc()
        for stage, took in milliseconds.items():
            self._stages.labels(stage).observe(took / 1000)

    def render(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
