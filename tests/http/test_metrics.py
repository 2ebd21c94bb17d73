"""What /metrics tells, read with prometheus_client's own parser."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.http import gallery_size
from service.http.keys import METRICS
from service.http.metrics import Metrics
from service.settings import Settings
from tests.support.device import Client, Device, variants
from tests.support.processes import gallery_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

KINDS = {
    "face_requests": "counter",
    "face_request_seconds": "histogram",
    "face_stage_seconds": "histogram",
    "face_gallery_faces": "gauge",
    "face_gallery_moved": "gauge",
    "face_purge_pending_seconds": "gauge",
    "face_purge_last_timestamp_seconds": "gauge",
    "face_photos_waiting": "gauge",
    "face_crops_waiting": "gauge",
    "face_batch_size": "histogram",
    "face_decodings_stopped": "counter",
    "face_connections": "gauge",
    "face_connections_closed": "counter",
    "face_upload_bytes": "gauge",
    "face_uploads_refused": "counter",
    "face_build_info": "gauge",
}


@pytest.fixture
def counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No count of the gallery is old enough to be told again."""
    monkeypatch.setattr(gallery_size, "MAX_AGE_S", 0.0)


async def scraped(client: Client) -> dict[str, Metric]:
    """The metrics by their names."""
    async with client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        return {metric.name: metric for metric in text_string_to_metric_families(await response.text())}


def samples(metrics: dict[str, Metric]) -> Samples:
    """The values by sample name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in metrics.values()
        for sample in metric.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


async def test_every_metric_is_there(service: Client) -> None:
    """Under the name and of the kind that dashboards expect; nobody else's are, but those of the process."""
    found = await scraped(service)
    ours = {name: metric for name, metric in found.items() if name.startswith("face_") and "_created" not in name}
    assert {name: metric.type for name, metric in ours.items()} == KINDS
    assert all(metric.documentation.endswith(".") for metric in ours.values())
    others = {name for name in found if not name.startswith("face_")}
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds"} <= others
    assert all(name.startswith("process_") for name in others)


@pytest.mark.slow
async def test_requests_and_stages(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    """Requests by route, code and reason, times of the whole and its stages; unknown paths share one name."""
    before = samples(await scraped(service))
    await device.register(portraits["obama"], "a remark")
    await device.recognise(portraits["obama"])
    await device.fails(1001, "POST", "/registration_face")
    for path in ("/one", "/two"):
        await device.fails(1000, "GET", path)
    after = samples(await scraped(service))

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    for route, code, reason, count in (
        ("/registration_face", "0", "ok", 1),
        ("/registration_face", "1001", "invalid_request", 1),
        ("/recognition_face", "0", "ok", 1),
        ("unknown", "1000", "uri_not_found", 2),
    ):
        assert grown("face_requests_total", route=route, code=code, reason=reason) == count
    for route, count in {"/registration_face": 2, "/recognition_face": 1, "unknown": 2}.items():
        assert grown("face_request_seconds_count", route=route) == count
        assert 0 < grown("face_request_seconds_sum", route=route) < 60
    for stage, count in {"decode": 2, "detect": 2, "embed": 2, "search": 1, "store": 1}.items():
        assert grown("face_stage_seconds_count", stage=stage) == count
        assert 0 < grown("face_stage_seconds_sum", stage=stage) < 60
    everything = " ".join(f"{name} {labels}" for name, labels in after)
    assert not any(text in everything for text in ("a remark", "/one", "127.0.0.1"))


async def test_the_build(service: Client) -> None:
    found = samples(await scraped(service))
    assert value(found, "face_build_info", version=__version__, model="casia-webface", precision="auto") == 1


@pytest.mark.usefixtures("counted_each_time")
async def test_the_gallerys_faces(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    assert value(samples(await scraped(service)), "face_gallery_faces") == 0
    for name in ("obama", "biden"):
        await device.register(portraits[name], name)
    assert value(samples(await scraped(service)), "face_gallery_faces") == 2


@pytest.mark.slow
async def test_batches_and_what_waits(service: Client, device: Device, portraits: dict[str, bytes]) -> None:
    """Each crop is in one batch; photos that are worked on are told meanwhile, and nothing waits afterwards."""
    before = samples(await scraped(service))
    registrations = [asyncio.create_task(device.register(photo, "test")) for photo in variants(portraits["obama"], 40)]
    waiting = 0.0
    while not all(each.done() for each in registrations):
        waiting = max(waiting, value(samples(await scraped(service)), "face_photos_waiting"))
    await asyncio.gather(*registrations)
    after = samples(await scraped(service))
    assert waiting > 1
    assert value(after, "face_photos_waiting") == value(after, "face_crops_waiting") == 0
    crops = value(after, "face_batch_size_sum") - value(before, "face_batch_size_sum")
    batches = value(after, "face_batch_size_count") - value(before, "face_batch_size_count")
    assert crops == 40
    assert 5 <= batches <= 40


@pytest.mark.slow
@pytest.mark.usefixtures("counted_each_time")
async def test_a_gallery_that_hangs_delays_no_scrape(
    service: Client, service_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else is told within a second or so; the faces are missing once the last count is stale, and come back."""
    await scraped(service)
    process = gallery_process(service_settings.data)
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert samples(await scraped(service))[("face_gallery_faces", frozenset())] >= 0
        assert time.monotonic() - began < 5
        monkeypatch.setattr(gallery_size, "STALE_S", 0.0)
        found = await scraped(service)
        assert found["face_gallery_faces"].samples == []
        assert found["face_requests"].samples
    finally:
        os.kill(process, signal.SIGCONT)
    monkeypatch.setattr(gallery_size, "STALE_S", 60.0)
    async with asyncio.timeout(20):
        while not (await scraped(service))["face_gallery_faces"].samples:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_scraping_is_not_counted_for_long(service: Client) -> None:
    """Many scrapes at once are one count of the gallery."""
    size = service.app[METRICS]._gallery_size
    assert size is not None
    counts = 0

    async def counted() -> int:
        nonlocal counts
        counts += 1
        await asyncio.sleep(0.01)
        return 7

    original, size._count, size._counted_at = size._count, counted, float("-inf")
    try:
        found = await asyncio.gather(*(scraped(service) for _ in range(20)))
    finally:
        size._count = original
    assert counts == 1
    assert {value(samples(each), "face_gallery_faces") for each in found} == {7}


async def test_a_gpus_memory_is_shown_where_one_is_used() -> None:
    """As of now, whenever it is asked for."""
    metrics, held = Metrics(), iter([3 * 2**30, 4 * 2**30])
    assert b"face_gpu_memory_bytes" not in await metrics.render()
    metrics.show_gpu_memory(lambda: next(held))
    for expected in (3 * 2**30, 4 * 2**30):
        families = text_string_to_metric_families((await metrics.render()).decode())
        found = {sample.name: sample.value for family in families for sample in family.samples}
        assert found["face_gpu_memory_bytes"] == expected
