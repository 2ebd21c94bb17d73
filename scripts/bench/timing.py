"""Running the pipelines on the same photos, each in blocks of its own, so that no other's idle threads disturb it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.bench.photos import PhotoSet
from scripts.bench.pipelines import STAGES, Measured, Pipeline

_WARM_UP = 5
"""Photos that a pipeline runs before each of its blocks, uncounted: it shall be in its own steady state."""
_REST_SECONDS = 1.0
"""Pause before a block: thread pools spin for a while after their last work, and would take the next one's processors.
In turns of ten photos with shorter pauses, ours took nearly twice its time beside torch's."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One pipeline's times on one photo set; a stage's milliseconds are the median over photos."""

    photos: int
    faces: int
    failed: int
    medians: Mapping[str, float]
    total_sum: float
    """Milliseconds for all photos, bytes → embeddings."""


@dataclass(frozen=True, slots=True)
class Timings:
    """One pipeline's times over all of its blocks, and over each of them."""

    whole: Timing
    blocks: Sequence[Timing]


def time_in_blocks(
    pipelines: Sequence[Pipeline], photos: PhotoSet, *, rest_s: float = _REST_SECONDS
) -> dict[str, Timings]:
    """Measure every pipeline on every photo `photos.rounds` times: A, B, C, A, B, C; the result is by its name."""
    answers: dict[str, list[list[Measured | None]]] = {pipeline.name: [] for pipeline in pipelines}
    for _ in range(photos.rounds):
        for pipeline in pipelines:
            time.sleep(rest_s)
            for path in photos.paths[:_WARM_UP]:
                pipeline.measure(path)
            answers[pipeline.name].append([pipeline.measure(path) for path in photos.paths])
    return {
        name: Timings(
            _summary(dict(zip(photos.paths, zip(*blocks, strict=True), strict=True))),
            [_summary(dict(zip(photos.paths, ([each] for each in block), strict=True))) for block in blocks],
        )
        for name, blocks in answers.items()
    }


def _summary(by_photo: Mapping[Path, Sequence[Measured | None]]) -> Timing:
    """Each photo counts once, with the median of its rounds."""
    rounds = [[answer for answer in answers if answer] for answers in by_photo.values()]
    good = [answers for answers in rounds if answers]
    times = {
        stage: [float(np.median([answer.milliseconds[stage] for answer in answers])) for answers in good]
        for stage in STAGES
    }
    return Timing(
        photos=len(good),
        faces=sum(len(answers[0].boxes) for answers in good),
        failed=len(rounds) - len(good),
        medians={stage: float(np.median(values)) for stage, values in times.items()},
        total_sum=sum(times["total"]),
    )
