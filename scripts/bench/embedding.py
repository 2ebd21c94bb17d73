"""The embedder against OpenVINO's own benchmark tool on the same graph, and the batcher at several settings."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.timings import Timings
from service.vision.detector import Detector
from service.vision.embedder import open_embedder
from service.vision.engine import Engine
from service.vision.preparation import Limits
from service.vision.sharing import Sharing

BATCH = 32
ROUNDS = 3
SECONDS = 5.0
CALLERS = 16


def embedding_section(settings: Settings, files: ModelFiles, seconds: float = SECONDS) -> str:
    """Milliseconds a face at batch 32, ours and OpenVINO's `benchmark_app` in turns of so long, as Markdown."""
    threads = model_threads(settings)
    embedder = open_embedder(files, compute="cpu", precision=settings.precision, threads=threads)
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, 160, 160, 3), dtype=np.uint8)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(_benchmark_app(files.facenet, threads, seconds))
        ours.append(_ours(lambda: embedder.embed(crops), seconds))
    mine, tool = float(np.median(ours)), float(np.median(theirs))
    return "\n".join([
        "## Embedding alone",
        "",
        f"| batch of {BATCH} | ms a face |",
        "| --- | ---: |",
        f"| this service's embedder | {mine:.2f} |",
        f"| OpenVINO's benchmark_app on the same graph, {threads} threads, one stream | {tool:.2f} |",
        "",
        f"- {tool / mine:.0%} of its speed",
    ])  # fmt: skip


def _ours(work: object, seconds: float) -> float:
    assert callable(work)  # noqa: S101 - for the type checker
    work()
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or not took:
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000 / BATCH)
    return float(np.median(took))


def _benchmark_app(graph: Path, threads: int, seconds: float) -> float:
    """The tool's median milliseconds a face."""
    tool = Path(sys.executable).with_name("benchmark_app")
    command = [tool, "-m", graph, "-shape", f"[{BATCH},160,160,3]", "-hint", "none", "-nstreams", "1", "-nireq", "1"]
    command += ["-nthreads", str(threads), "-api", "sync", "-t", str(math.ceil(seconds))]
    said = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=True)  # noqa: S603
    found = re.search(r"Median:\s+([\d.]+) ms", said.stdout)
    if found is None:
        raise RuntimeError(f"benchmark_app said no median:\n{said.stdout}")
    return float(found[1]) / BATCH


async def batching_section(
    settings: Settings, files: ModelFiles, photos: Sequence[Path], seconds: float = SECONDS
) -> str:
    """Photos a second and their latency by the batcher's settings, with CALLERS at once and with one, as Markdown."""
    lines = ["## Batching", "", "| max_batch | photos/s, 16 callers | p50 ms | photos/s, 1 caller |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    threads = model_threads(settings)
    sharing = Sharing(threads)
    detector = Detector(
        files, threads=threads, min_face=settings.min_face, min_share=settings.min_share, sharing=sharing
    )
    embedder = open_embedder(
        files, compute=settings.compute, precision=settings.precision, threads=threads, sharing=sharing
    )
    embedder.warm()
    limits = Limits.of(settings)
    for max_batch in (1, 2, 4, 8):
        engine = Engine(detector, embedder, limits, workers=threads, max_batch=max_batch, sharing=sharing)
        many, latency = await bare_engine(engine, photos, CALLERS, seconds)
        one, _ = await bare_engine(engine, photos, 1, seconds)
        await engine.close()
        lines.append(f"| {max_batch} | {many:.1f} | {latency:.0f} | {one:.1f} |")
    return "\n".join(lines)


async def bare_engine(engine: Engine, photos: Sequence[Path], callers: int, seconds: float) -> tuple[float, float]:
    """Photos a second and the median milliseconds of one, embedding the largest face of each, without HTTP."""
    contents = [path.read_bytes() for path in photos]
    took: list[float] = []
    began = time.perf_counter()

    async def caller(number: int) -> None:
        while time.perf_counter() - began < seconds:
            started = time.perf_counter()
            await engine.observe(contents[(len(took) + number) % len(contents)], lambda found, _: found[:1], Timings())
            took.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    return len(took) / (time.perf_counter() - began), float(np.median(took))
