"""The measurement behind FACE_THRESHOLD=auto."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.bench.evaluation.draws import OTHERS, draws
from scripts.bench.evaluation.observing import Observed
from scripts.bench.evaluation.sources import Portrait
from scripts.bench.thresholds import main, score_at, stranger_scores
from service.gallery.thresholds import FACES
from service.values import ModelContract

CONTRACT = ModelContract(model="casia-webface", digest="0" * 64, preprocessing=1, dimension=512)


def test_groups_count_alike_however_many_photos_they_have() -> None:
    """At 0.5 all ten of one group and none of a hundred are accepted: 50 % in the mean, not 9 %."""
    few, many = np.full(10, 0.5), np.linspace(0.0, 0.1, 100)
    assert score_at(0.5, [few, many]) == pytest.approx(0.1)
    strict = score_at(0.4, [few, many])
    assert strict is not None
    assert 0.5 < strict < 0.51


def test_too_few_strangers_give_no_score() -> None:
    assert score_at(0.001, [np.full(10, 0.5), np.full(10, 0.5)]) is None


@pytest.mark.slow
async def test_strangers_of_a_group_meet_its_galleries_of_each_size(crowd: dict[Portrait, Observed]) -> None:
    """Six of twelve people are strangers, with three photos each; those without a face are accepted nowhere."""
    (drawn,) = draws(list(crowd), {each.identity: OTHERS for each in crowd}, 1)
    observed = {portrait.path: each for portrait, each in crowd.items()}
    found = await stranger_scores(drawn, OTHERS, observed, CONTRACT)
    assert len(found) == len(FACES)
    faceless = sum(observed[each.path].candidate is None for each in drawn.strangers[OTHERS])
    for scores in found:
        assert len(scores) == 18
        assert np.isneginf(scores).sum() == faceless
        assert scores.max() < 0.3


def test_what_is_missing_is_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"FACE_MODEL": "casia-webface"}, ["--gallery", str(tmp_path / "none")]) == 1
    assert "name a folder with a folder for each person" in capsys.readouterr().err
