"""The networks that an engine runs: compiled for the processor, or those of the process that owns the GPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.values import CROP_SIDE
from service.vision.detector import Detector, FaceDetector
from service.vision.embedder import Embedder, MirroredEmbedder, open_embedder, uses_gpu
from service.vision.gpu.link import GpuDetector, GpuEmbedder, GpuLink
from service.vision.gpu.process import MAX_PHOTOS, Options
from service.vision.gpu.starting import GpuProcess
from service.vision.networks import MAX_BATCH
from service.vision.sharing import Sharing

MAX_CROPS = 256
"""Crops of a batch on a GPU."""


class Networks(NamedTuple):
    """What an engine runs, compiled. How many photos are searched and crops embedded at once.

    `release` is called when the engine is closed; `gpu_memory_bytes` says what is held of a GPU's memory, None where
    none is used. `sharing` is what the networks ask how to use the processors; None where they use none.
    `compile_for_first` compiles what the first photo needs, which would take it a second.
    """

    detector: FaceDetector
    embedder: Embedder
    photos_at_once: int = 1
    crops_at_once: int = MAX_BATCH
    release: Callable[[], None] = lambda: None
    gpu_memory_bytes: Callable[[], int] | None = None
    sharing: Sharing | None = None
    compile_for_first: Callable[[], None] = lambda: None


def load_networks(settings: Settings, files: ModelFiles) -> Networks:
    """Load what the settings ask for; what a photo needs is compiled when the first one comes, or before.

    Raises InvalidSettings or ModelUnavailable where there is no such device or model.
    """
    threads = model_threads(settings)
    if uses_gpu(settings.compute):
        return _in_gpu_process(settings, files)
    sharing = Sharing(threads)
    embedder = open_embedder(
        files,
        compute=settings.compute,
        precision=settings.precision,
        threads=threads,
        mirror=settings.mirror,
        sharing=sharing,
    )
    detector = Detector(
        files, threads=threads, min_face=settings.min_face, min_share=settings.min_share, sharing=sharing
    )

    def compile_for_first() -> None:
        with ThreadPoolExecutor(1) as beside:
            compiled = beside.submit(embedder.embed, np.zeros((1, CROP_SIDE, CROP_SIDE, 3), np.uint8))
            detector.compile_for_first()
            compiled.result()

    return Networks(detector, embedder, sharing=sharing, compile_for_first=compile_for_first)


def _in_gpu_process(settings: Settings, files: ModelFiles) -> Networks:
    process = GpuProcess(gpu_options(settings, files.weights))
    return networks_at(process.address, settings, release=process.close)


def gpu_options(settings: Settings, weights: Path, device: str = "cuda") -> Options:
    """What a GPU's process runs for these settings; the device `cpu` is for tests."""
    return Options(
        weights=str(weights),
        device=device,
        precision=settings.precision,
        min_face=settings.min_face,
        min_share=settings.min_share,
    )


def networks_at(
    address: str, settings: Settings, *, photos_at_once: int = MAX_PHOTOS, release: Callable[[], None] = lambda: None
) -> Networks:
    """Those of a GPU's process that listens at `address`, for settings like its own; `release` is called at the end."""
    link = GpuLink(address)
    embedder: Embedder = GpuEmbedder(link)

    def close() -> None:
        link.close()
        release()

    return Networks(
        GpuDetector(link, min_face=settings.min_face),
        MirroredEmbedder(embedder) if settings.mirror else embedder,
        photos_at_once,
        MAX_CROPS,
        close,
        lambda: link.memory_bytes,
    )
