"""Plots are pictures that exist, or a sentence where they can't be made."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.bench.evaluation.draws import MIXED
from scripts.bench.evaluation.gallery_run import Outcome
from scripts.bench.evaluation.identification import Searches
from scripts.bench.evaluation.pairs_run import OURS, verify
from scripts.bench.evaluation.plots import plot_galleries, plot_pairs
from scripts.bench.evaluation.sources import Pair


@pytest.fixture
def outcomes() -> list[Outcome]:
    """By two scores; the second has no strangers."""
    draw = np.random.default_rng(0)
    searches = [
        Searches(
            ranks=np.ones(50, np.int64),
            scores=draw.uniform(0.5, 0.9, 50),
            member_groups=np.array(["a", "b"] * 25),
            stranger_scores=draw.uniform(0, 0.6, strangers),
            stranger_groups=np.array(["a", "b"] * (strangers // 2), dtype=np.str_),
        )
        for strangers in (100, 0)
    ]
    return [
        Outcome(composition=MIXED, size=20, faces=20, score="cohort", by_draw=(searches[0],)),
        Outcome(composition=MIXED, size=20, faces=20, score="cosine", by_draw=(searches[1],)),
    ]


@pytest.mark.slow
class TestPictures:
    def test_of_galleries(self, outcomes: list[Outcome], tmp_path: Path) -> None:
        written = plot_galleries(outcomes, ["a", "b"], tmp_path / "plots", "model")
        assert [path.name for path in written] == ["sizes-model.png", "det-model.png", "groups-model.png"]
        for path in written:
            with Image.open(path) as picture:
                assert picture.width > 1000
        assert len(plot_galleries(outcomes, ["a"], tmp_path, "model")) == 2

    def test_of_pairs(self, tmp_path: Path) -> None:
        pairs = [Pair(Path("a"), Path("b"), same=number % 2 == 0) for number in range(20)]
        vector = np.eye(1, 512, dtype=np.float32)[0]
        verified = [verify(OURS, pairs, [], {Path("a"): vector, Path("b"): vector})]
        (path,) = plot_pairs(verified, tmp_path, "model")
        assert path.stat().st_size > 1000


def test_without_matplotlib_a_sentence_says_what_to_install(
    outcomes: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, however many plots there would be."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert plot_galleries(outcomes, ["a", "b"], tmp_path, "model") == []
    printed = capsys.readouterr().out
    assert printed.count("No plots without matplotlib; install it: ") == 1
    assert "'face-service[plots]'" in printed
