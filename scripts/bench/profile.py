"""Where the milliseconds of a photo go: each stage's share, by Python's profiler over the engine's functions."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.bench.least_times import CountingDetector, LeastTimes
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.vision.cropping import crop
from service.vision.embedder import open_embedder
from service.vision.images import accept
from service.vision.preparation import Limits

_STAGES = {
    "decode": ("images.py", "decode"),
    "integral image": ("area_scaling.py", "integral_image"),
    "pyramid": ("pyramid.py", "render_canvas"),
    "PNet and its proposals": ("detector.py", "_propose"),
    "RNet": ("detector.py", "_refine"),
    "ONet": ("detector.py", "_output"),
    "areas for RNet and ONet": ("detector.py", "_crop_and_scale"),
    "all of detection": ("detector.py", "detect"),
    "crop": ("cropping.py", "crop"),
    "FaceNet": ("embedder.py", "embed"),
}
"""The function whose time, with all that it calls, is a stage's."""

_LIMITS = {
    "decode": "libjpeg, mostly Huffman decoding, on one thread; at best: the bare reader",
    "integral image": "memory: 15 bytes a pixel",
    "pyramid": "memory: 76 bytes a canvas pixel, of which four look-ups on large photos are far apart",
    "PNet and its proposals": "float32 convolutions of 3 to 32 channels, too few to fill the vector units",
    "RNet": "float32 convolutions, 3 MFLOP a window",
    "ONet": "float32 convolutions, 26 MFLOP a window",
    "areas for RNet and ONet": "memory: 76 bytes a pixel of a window",
    "FaceNet": "2.84 GFLOP a face",
}


def profile_section(settings: Settings, files: ModelFiles, sets: Mapping[str, Sequence[Path]]) -> str:
    """A report section in Markdown: shares of one photo's time, embedding its largest face."""
    lines = [
        "## Profile",
        "",
        f"| stage | {' | '.join(sets)} | what limits it |",
        f"| --- |{' ---: |' * len(sets)} --- |",
    ]
    least_times = LeastTimes.measured(settings, files)
    columns = [_milliseconds(settings, files, paths, least_times) for paths in sets.values()]
    for stage in _STAGES:
        cells = [_cell(took[stage], _whole(took), least.get(stage)) for took, least in columns]
        lines.append(f"| {stage} | {' | '.join(cells)} | {_LIMITS.get(stage, '')} |")
    totals = [f"{_whole(took):.1f}; {_whole(least):.1f}" for took, least in columns]
    lines.append(f"| together | {' | '.join(totals)} | |")
    told = (
        "Milliseconds a photo with its share, and what the stage would take at best: its arithmetic at "
        f"{least_times.flops:.0f} GFLOP/s (FaceNet: {least_times.facenet_flops:.0f}), as fast as a product of "
        f"matrices, and its bytes at {least_times.bandwidth:.1f} GB/s, as fast as a copy. Counted are the pixels and "
        "windows of these photos, without what batches are filled up with."
    )
    return "\n".join([*lines, "", told])


def _cell(took: float, whole: float, least: float | None) -> str:
    return f"{took:.2f} ({took / whole:.0%})" + (f"; {least:.2f}" if least is not None else "")


def _whole(stages: Mapping[str, float]) -> float:
    return sum(stages.get(stage, 0.0) for stage in ("decode", "all of detection", "crop", "FaceNet"))


def _milliseconds(
    settings: Settings, files: ModelFiles, paths: Sequence[Path], least_times: LeastTimes
) -> tuple[dict[str, float], dict[str, float]]:
    """The mean of each stage a photo, and of what it would take at best."""
    threads = model_threads(settings)
    detector = CountingDetector(files, threads=threads, min_face=settings.min_face, min_share=settings.min_share)
    embedder = open_embedder(files, compute=settings.compute, precision=settings.precision, threads=threads)
    limits = Limits.of(settings)
    photos = [
        accept(path.read_bytes(), max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, formats=limits.formats)
        for path in paths
    ]

    def run() -> int:
        faces = 0
        for photo in photos:
            reduction = photo.reduction_to(settings.search_side)
            picture = photo.decode(reduction)
            for detection in detector.detect(np.asarray(picture))[:1]:
                embedder.embed(crop(picture, detection.box)[None])
                faces += 1
        return faces

    run()  # compiles
    detector.refined = detector.output = 0
    profiler = cProfile.Profile()
    faces = profiler.runcall(run)
    times: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    times = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    seconds = {
        stage: sum(entry[3] for (path, _, name), entry in times.items() if (Path(path).name, name) == place)
        for stage, place in _STAGES.items()
    }
    seconds["PNet and its proposals"] -= seconds["pyramid"]  # rendered within
    took = {stage: value * 1000 / len(photos) for stage, value in seconds.items()}
    return took, least_times.milliseconds(photos, detector, faces)
