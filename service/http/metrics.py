"""What the service counts and measures, under Prometheus' names, in a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from service.http.gallery_size import GallerySize

_STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BATCH_BUCKETS = (*range(1, 9), 16, 32, 64, 128, 256)

DECODING_STOPPED = ("deadline", "crash", "left")


class Metrics:
    """The samples of /metrics; the methods `show_…` add what is known only once models and gallery are open."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "face_requests",
            "Requests answered, by route, the answer's code and the reason for it.",
            ["route", "code", "reason"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "face_request_seconds",
            "Time of whole requests, from the head to the end of the answer.",
            ["route"],
            buckets=_REQUEST_BUCKETS_S,
            registry=self._registry,
        )
        self._stages = Histogram(
            "face_stage_seconds",
            "Time of each stage of a request.",
            ["stage"],
            buckets=_STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self._batches = Histogram(
            "face_batch_size", "Crops in each batch of the embedder.", buckets=_BATCH_BUCKETS, registry=self._registry
        )
        self._decodings_stopped = Counter(
            "face_decodings_stopped",
            "Photos whose decoding was cut off: it took too long (deadline), its process died (crash), nobody waited "
            "for it any more (left).",
            ["reason"],
            registry=self._registry,
        )
        for reason in DECODING_STOPPED:
            self._decodings_stopped.labels(reason)
        self._gallery_size: GallerySize | None = None
        self._build: Info | None = None

    def record(self, route: str, *, code: str, reason: str, took_s: float, stages_ms: Mapping[str, float]) -> None:
        """One answered request: the whole time in seconds, that of its stages in milliseconds."""
        self._requests.labels(route, code, reason).inc()
        self._request_seconds.labels(route).observe(took_s)
        for stage, took_ms in stages_ms.items():
            self._stages.labels(stage).observe(took_ms / 1000)

    def record_batch(self, size: int) -> None:
        """One batch that the embedder got, of so many crops."""
        self._batches.observe(size)

    def record_stopped_decoding(self, reason: str) -> None:
        """One photo whose decoding was cut off; the reason is of DECODING_STOPPED."""
        self._decodings_stopped.labels(reason).inc()

    def show_build(self, *, version: str, model: str, precision: str) -> None:
        """What runs here: the program's version, the model's name and FACE_PRECISION."""
        if self._build is None:
            self._build = Info("face_build", "The program, model and precision that run here.", registry=self._registry)
        self._build.info({"version": version, "model": model, "precision": precision})

    def show_waiting(self, *, photos: Callable[[], int], crops: Callable[[], int]) -> None:
        """How much waits for the engine, asked at each scrape."""
        for name, text, waiting in (
            ("face_photos_waiting", "Photos that wait for a worker thread or are in one.", photos),
            ("face_crops_waiting", "Crops that wait for a batch of the embedder.", crops),
        ):
            Gauge(name, text, registry=self._registry).set_function(waiting)

    def show(self, collector: Collector) -> None:
        """What another part of the program counts by itself."""
        self._registry.register(collector)

    def show_gpu_memory(self, held_bytes: Callable[[], int]) -> None:
        """How much of the GPU's memory the service holds, asked at each scrape; only where it computes on one."""
        gauge = Gauge("face_gpu_memory_bytes", "Memory of the GPU that the service holds.", registry=self._registry)
        gauge.set_function(held_bytes)

    def show_gallery_size(self, size: GallerySize) -> None:
        """How many faces the gallery has, asked for at each scrape."""
        self._gallery_size = size
        self._registry.register(size)

    def show_moved(self, has_moved: Callable[[], bool]) -> None:
        """Whether the gallery has moved to another model, asked at each scrape."""
        gauge = Gauge(
            "face_gallery_moved",
            "1 once the gallery has another model, and this service the old one.",
            registry=self._registry,
        )
        gauge.set_function(lambda: int(has_moved()))

    async def render(self) -> bytes:
        """In Prometheus' text format."""
        if self._gallery_size is not None:
            await self._gallery_size.refresh()
        return generate_latest(self._registry)
