"""Pairs by this service and by facenet-pytorch, from embeddings worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.bench.evaluation import pairs_run
from scripts.bench.evaluation.pairs_run import OURS, Embeddings, folds_of, pairs_json, pairs_tables, verify
from scripts.bench.evaluation.sources import Pair, UnusableSource
from scripts.bench.pipelines import Measured

PEOPLE = 20
PAIRS = [
    *(Pair(Path(f"{name}-0"), Path(f"{name}-1"), same=True) for name in range(PEOPLE)),
    *(Pair(Path(f"{name}-0"), Path(f"{(name + 1) % PEOPLE}-0"), same=False) for name in range(PEOPLE)),
]


@pytest.fixture
def embeddings() -> Embeddings:
    """Everybody on an axis of their own; the second photo of the first person has no face."""
    axes = np.eye(PEOPLE, 512, dtype=np.float32)
    seen = {Path(f"{name}-{photo}"): axes[name] for name in range(PEOPLE) for photo in range(2)}
    return {path: None if path == Path("0-1") else vector for path, vector in seen.items()}


def test_pairs_are_told_right_but_for_a_photo_without_a_face(embeddings: Embeddings) -> None:
    """One of forty pairs; other pairs' threshold does as well."""
    told = verify(OURS, PAIRS, PAIRS[5:35], embeddings)
    assert told.folded.mean == pytest.approx(39 / 40)
    assert told.trained == 0.5
    assert told.trained_accuracy == pytest.approx(39 / 40)
    at_a_tenth, at_a_hundredth, _ = told.rates
    assert at_a_tenth is not None
    assert at_a_tenth.rate == pytest.approx(19 / 20)
    assert at_a_hundredth is None


def test_tables_and_json_tell_all_pipelines(embeddings: Embeddings) -> None:
    """And how much better the first is, in points."""
    worse = {**embeddings, Path("1-1"): None}
    verified = [verify(OURS, PAIRS, PAIRS, embeddings), verify("another", PAIRS, PAIRS, worse)]
    text = pairs_tables(verified)
    assert "97.50% ± 2.50%" in text
    assert "points: +2.50 by folds, +2.50 with the threshold of TRAIN." in text
    written = json.loads(json.dumps(pairs_json(verified), allow_nan=False))
    assert [each["pairs_without_a_face"] for each in written] == [1, 2]


def test_without_other_pairs_no_threshold_of_theirs_is_told(embeddings: Embeddings) -> None:
    verified = [verify(OURS, PAIRS, [], embeddings)]
    assert "TRAIN" not in pairs_tables(verified)
    assert pairs_json(verified)[0]["trained"] is None


def test_lfws_sets_are_the_folds() -> None:
    """Drawn ones where the table has none, or only one."""
    in_sets = [Pair(pair.a, pair.b, same=pair.same, fold=number % 4) for number, pair in enumerate(PAIRS)]
    assert folds_of(in_sets).tolist() == [0, 1, 2, 3] * 10
    assert len(set(folds_of(PAIRS).tolist())) == 10


def test_fewer_pairs_than_folds_are_told_in_a_sentence() -> None:
    with pytest.raises(UnusableSource, match="10 pairs of one person and 10 of two are needed"):
        folds_of(PAIRS[11:])


def test_facenet_pytorch_chooses_the_largest_or_the_central_face() -> None:
    """The first box is larger, the second in the middle."""
    answer = Measured(
        size=(100, 100),
        boxes=np.array([[0.0, 0.0, 40.0, 40.0], [35.0, 35.0, 70.0, 70.0]]),
        embeddings=np.eye(2, 512, dtype=np.float32),
        milliseconds={},
    )
    assert pairs_run._areas(answer).argmax() == 0
    assert pairs_run._central_weights(answer).argmax() == 1
    assert pairs_run._chosen(None, pairs_run._areas) is None
