"""Running the pipelines on the same photos in turns, so that the machine's noise hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.bench.photos import PhotoSet
from scripts.bench.pipelines import STAGES, Measured, Pipeline

_BLOCK = 10
"""Photos that one pipeline runs before it is the next one's turn."""
_WARM_UP = 3
_REST_SECONDS = 0.3
"""Pause before a turn: thread pools spin for a while after their last work, and would disturb the next pipeline."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One pipeline's times on one photo set; a stage's milliseconds are the median over photos."""

    photos: int
    faces: int
    failed: int
    medians: Mapping[str, float]
    total_sum: float
    """Milliseconds for all photos, bytes → embeddings."""


def time_in_turns(pipelines: Sequence[Pipeline], photos: PhotoSet) -> dict[str, Timing]:
    """Measure every pipeline on every photo `photos.rounds` times; the result is by the pipeline's name."""
    for pipeline in pipelines:
        for path in photos.paths[:_WARM_UP]:
            pipeline.measure(path)
    answers: dict[str, dict[Path, list[Measured | None]]] = {
        pipeline.name: {path: [] for path in photos.paths} for pipeline in pipelines
    }
    for turn, block in enumerate(_blocks(photos)):
        # Who begins changes from block to block.
        first = turn % len(pipelines)
        for pipeline in [*pipelines[first:], *pipelines[:first]]:
            time.sleep(_REST_SECONDS)
            for path in block:
                answers[pipeline.name][path].append(pipeline.measure(path))
    return {name: _summary(by_photo) for name, by_photo in answers.items()}


def _blocks(photos: PhotoSet) -> Iterator[list[Path]]:
    for _ in range(photos.rounds):
        for start in range(0, len(photos.paths), _BLOCK):
            yield photos.paths[start : start + _BLOCK]


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
