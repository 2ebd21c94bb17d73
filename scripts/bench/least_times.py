"""The least time of each stage of a photo: its arithmetic at the processor's peak, its bytes at the memory's speed."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.bench.limits import Task, gflop, peak
from service.models.runtimes import has_bf16
from service.models.selection import ModelFiles
from service.processors import model_threads
from service.settings import Settings
from service.values import CROP_SIDE, Detection
from service.vision.box_math import Floats
from service.vision.detector import ONET_SIDE, RNET_SIDE, Detector
from service.vision.images import Photo
from service.vision.pyramid import lay_out, smallest_face

_SUMMED = 3 + 12
"""Bytes that the integral image reads and writes a pixel."""
_LOOKED_UP = 4 * 12 + 4 * 4 + 12
"""Bytes of an area's mean colour: four sums, where they stand, and the colour."""
_COPIED = 2**26
"""Bytes of the copy that shows the memory's speed: more than caches hold."""
_RUNS = 10


class CountingDetector(Detector):
    """Counts the windows that it has RNet and ONet look at."""

    refined = 0
    output = 0

    def _refine(self, boxes: Floats, crops: Floats) -> Floats:
        self.refined += len(crops)
        return super()._refine(boxes, crops)

    def _output(self, boxes: Floats, crops: Floats) -> list[Detection]:
        self.output += len(crops)
        return super()._output(boxes, crops)


@dataclass(frozen=True)
class LeastTimes:
    """What this processor needs at least, measured once: GFLOP/s and GB/s."""

    settings: Settings
    files: ModelFiles
    flops: float
    facenet_flops: float
    bandwidth: float
    pnet_gflop: dict[tuple[int, int], float] = field(default_factory=dict)
    """By the canvas's height and width, as they are needed."""

    @classmethod
    def measured(cls, settings: Settings, files: ModelFiles) -> LeastTimes:
        """On all processors that the settings allow."""
        threads = model_threads(settings)
        flops = peak("f32", threads)
        in_bf16 = settings.precision in ("auto", "bf16") and has_bf16()
        return cls(settings, files, flops, peak("bf16", threads) if in_bf16 else flops, _bandwidth())

    def milliseconds(self, photos: Sequence[Photo], detector: CountingDetector, faces: int) -> dict[str, float]:
        """The mean of each stage a photo, by profile_section's names; `detector` has seen these photos, once each.

        No figure for the stages of which no limit is known.
        """
        decode_ms = pixels = canvas_pixels = pnet_gflop = 0.0
        for photo in photos:
            reduction = photo.reduction_to(self.settings.search_side)
            decode_ms += _bare_decode(photo, reduction)
            width, height = (-(-side // reduction) for side in photo.size)
            pixels += width * height
            least = smallest_face(height, width, min_face=self.settings.min_face, share=self.settings.min_share)
            for layout in lay_out(height, width, least):
                canvas_pixels += layout.height * layout.width
                pnet_gflop += self._pnet(layout.height, layout.width)
        window_pixels = detector.refined * RNET_SIDE**2 + detector.output * ONET_SIDE**2
        networks = {
            "PNet and its proposals": pnet_gflop / self.flops,
            "RNet": detector.refined * gflop(_task(self.files.rnet, RNET_SIDE)) / self.flops,
            "ONet": detector.output * gflop(_task(self.files.onet, ONET_SIDE)) / self.flops,
            "FaceNet": faces * gflop(_task(self.files.facenet, CROP_SIDE)) / self.facenet_flops,
        }
        memory = {
            "integral image": pixels * _SUMMED,
            "pyramid": canvas_pixels * _LOOKED_UP,
            "areas for RNet and ONet": window_pixels * _LOOKED_UP,
        }
        sums = {name: seconds * 1000 for name, seconds in networks.items()}
        sums |= {name: moved / 1e9 / self.bandwidth * 1000 for name, moved in memory.items()}
        sums["all of detection"] = sum(value for name, value in sums.items() if name != "FaceNet")
        return {name: value / len(photos) for name, value in (sums | {"decode": decode_ms}).items()}

    def _pnet(self, height: int, width: int) -> float:
        if (height, width) not in self.pnet_gflop:
            shapes = [1, height, width, 3], [1, 1, height - 2, width - 2]
            self.pnet_gflop[height, width] = gflop(Task("PNet", self.files.pnet, shapes, "f32"))
        return self.pnet_gflop[height, width]


def _task(graph: Path, side: int) -> Task:
    return Task(graph.stem, graph, ([1, side, side, 3],), "f32")


def _bare_decode(photo: Photo, reduction: int) -> float:
    """Milliseconds of the reader alone: no check, no rotation, no copy."""
    began = time.perf_counter()
    with Image.open(io.BytesIO(photo.content)) as image:
        if reduction > 1:
            image.draft("RGB", (image.width // reduction, image.height // reduction))
        image.load()
    return (time.perf_counter() - began) * 1000


def _bandwidth() -> float:
    """GB/s that a copy in memory reads and writes, on one processor, as the stages do."""
    source, target = np.ones(_COPIED, np.uint8), np.zeros(_COPIED, np.uint8)
    took = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        np.copyto(target, source)
        took.append(time.perf_counter() - began)
    return 2 * _COPIED / 1e9 / min(took)
