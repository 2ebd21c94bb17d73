"""Where the milliseconds of a photo go: each stage's share, by Python's profiler over the engine's functions."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.vision.cropping import crop
from service.vision.detector import Detector
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
    "crop": ("detector.py", "crop"),
    "FaceNet": ("embedder.py", "embed"),
}
"""The function whose time, with all that it calls, is a stage's."""

_LIMITS = {
    "decode": "libjpeg, mostly Huffman decoding; one thread",
    "integral image": "memory bandwidth: 12 bytes written a pixel",
    "pyramid": "four look-ups a canvas pixel; memory latency on large photos",
    "PNet and its proposals": "float32 convolutions of 3 to 32 channels, too few to fill the vector units",
    "RNet": "float32 convolutions over about 35 windows a photo, 75 in rich scenes",
    "ONet": "float32 convolutions, 25 MFLOP a window, 9 windows a photo",
    "FaceNet": "2.84 GFLOP a face: the processor's bfloat16 throughput",
}


def profile_section(settings: Settings, files: ModelFiles, sets: Mapping[str, Sequence[Path]]) -> str:
    """A report section in Markdown: shares of one photo's time, embedding its largest face."""
    lines = [
        "## Profile",
        "",
        f"| stage | {' | '.join(sets)} | what limits it |",
        f"| --- |{' ---: |' * len(sets)} --- |",
    ]
    columns = [_milliseconds(settings, files, paths) for paths in sets.values()]
    wholes = [each["decode"] + each["all of detection"] + each["crop"] + each["FaceNet"] for each in columns]
    for stage in _STAGES:
        cells = [
            f"{each[stage]:.2f} ms ({each[stage] / whole:.0%})" for each, whole in zip(columns, wholes, strict=True)
        ]
        lines.append(f"| {stage} | {' | '.join(cells)} | {_LIMITS.get(stage, '')} |")
    return "\n".join(lines)


def _milliseconds(settings: Settings, files: ModelFiles, paths: Sequence[Path]) -> dict[str, float]:
    """The mean of each stage a photo."""
    threads = model_threads(settings)
    detector = Detector(files, threads=threads, min_face=settings.min_face, min_share=settings.min_share)
    embedder = open_embedder(files, compute=settings.compute, precision=settings.precision, threads=threads)
    limits = Limits.of(settings)
    photos = [
        accept(path.read_bytes(), max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, formats=limits.formats)
        for path in paths
    ]

    def run() -> None:
        for photo in photos:
            reduction = photo.reduction_to(settings.search_side)
            picture = photo.decode(reduction)
            for detection in detector.detect(np.asarray(picture))[:1]:
                embedder.embed(crop(picture, detection.box)[None])

    run()  # compiles
    profiler = cProfile.Profile()
    profiler.runcall(run)
    times: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    times = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    seconds = {
        stage: sum(entry[3] for (path, _, name), entry in times.items() if (Path(path).name, name) == place)
        for stage, place in _STAGES.items()
    }
    seconds["PNet and its proposals"] -= seconds["pyramid"]  # rendered within
    return {stage: value * 1000 / len(photos) for stage, value in seconds.items()}
