"""Pipelines are compared in blocks: none is measured while another's threads come to rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from scripts.bench.photos import PhotoSet
from scripts.bench.pipelines import STAGES, Measured
from scripts.bench.report import OURS, ratios
from scripts.bench.timing import time_in_blocks

PHOTOS = PhotoSet("few", [Path(f"{number}.jpg") for number in range(8)], 2, "median")


class Pipeline:
    """One that writes down when it was asked, and says of each answer that it took what is set."""

    versions: Mapping[str, str] = {}

    def __init__(self, name: str, asked: list[tuple[str, Path]], milliseconds: list[float]) -> None:
        """It took one of `milliseconds` for all of a block, the next for the next block."""
        self.name = name
        self._asked = asked
        self._milliseconds = milliseconds
        self._own = 0

    def measure(self, path: Path) -> Measured | None:
        block = self._own // (len(PHOTOS.paths) + 5)
        self._own += 1
        self._asked.append((self.name, path))
        took = dict.fromkeys(STAGES, self._milliseconds[block])
        return Measured((1, 1), np.zeros((1, 4)), np.zeros((1, 512), np.float32), took)


def test_each_pipeline_runs_all_photos_in_a_block_and_all_blocks_are_run_again() -> None:
    asked: list[tuple[str, Path]] = []
    time_in_blocks([Pipeline("a", asked, [1, 1]), Pipeline("b", asked, [1, 1])], PHOTOS, rest_s=0)
    block = [*PHOTOS.paths[:5], *PHOTOS.paths]  # the first ones only warm it
    assert asked == [(name, path) for name in ("a", "b", "a", "b") for path in block]


def test_a_ratio_is_told_with_what_it_was_in_each_pair_of_blocks() -> None:
    asked: list[tuple[str, Path]] = []
    timings = time_in_blocks([Pipeline(OURS, asked, [10, 20]), Pipeline("theirs", asked, [50, 80])], PHOTOS, rest_s=0)
    assert timings["theirs"].whole.medians["total"] == pytest.approx(65)
    assert ratios(PHOTOS, timings) == ["- few image→embedding: this service **4.3× faster** (4.0 to 5.0) than theirs"]
