"""Tables and JSON of galleries, from searches worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scripts.bench.evaluation.draws import MIXED
from scripts.bench.evaluation.gallery_report import gallery_json, group_table, score_table, size_table, threshold_table
from scripts.bench.evaluation.gallery_run import Outcome
from scripts.bench.evaluation.identification import Searches
from scripts.bench.evaluation.searching import AnyScore

GROUPS = ["a", "b"]


def outcome(composition: str, score: AnyScore, stranger_score: float) -> Outcome:
    """Two equal draws: of group a one of two members is found at 0.6; a hundred strangers of each group, one of whom
    scores what is said, the others 0.1.
    """
    searches = Searches(
        ranks=np.array([1, 2, 1]),
        scores=np.array([0.7, 0.6, 0.9]),
        member_groups=np.array(["a", "a", "b"]),
        stranger_scores=np.array([stranger_score, *[0.1] * 199]),
        stranger_groups=np.array(["a"] * 100 + ["b"] * 100),
    )
    return Outcome(composition=composition, size=20, faces=40, score=score, by_draw=(searches, searches))


@pytest.fixture
def outcomes() -> list[Outcome]:
    return [outcome(MIXED, "cohort", 0.5), outcome(MIXED, "cosine", 0.5), outcome("a", "cohort", 0.8)]


def cells(table: str, row: str) -> list[str]:
    """Of the first row that begins so."""
    found = next(line for line in table.splitlines() if line.startswith(f"| {row}"))
    return [cell.strip() for cell in found.strip("| ").split("|")][1:]


def test_the_table_of_sizes(outcomes: list[Outcome]) -> None:
    """All people only. With 400 strangers there is a threshold for 1 %, and none for 0.1 %."""
    told = size_table(outcomes)
    assert len(told.splitlines()) == 4
    number, first, fifth, tenth, hundredth, thousandth = cells(told, "cohort, 20")
    assert (number, first, fifth) == ("3 / 200", "66.7% ± 0.0%", "100.0% ± 0.0%")
    assert tenth == hundredth == "33.3% ± 0.0% (0.100)"
    assert thousandth == "–"


def test_the_table_of_thresholds(outcomes: list[Outcome]) -> None:
    assert cells(threshold_table(outcomes), "cosine, 20") == [
        "0.50% / 33.3%", "0.50% / 33.3%", "0.50% / 33.3%", "0.0% / 33.3%", "0.0% / 33.3%"
    ]  # fmt: skip


def test_the_table_of_groups_is_at_one_threshold(outcomes: list[Outcome]) -> None:
    """That of all people's gallery, and the service's own for the faces that were enrolled."""
    told = group_table(outcomes, GROUPS, lambda faces: faces / 50)
    assert cells(told, "cohort, a, 20") == ["0.100 (1% of all)", "1.0%", "0.0%", "50.0%", "0.0%"]
    assert "0.800 (auto)" in told
    assert sum("auto" in line for line in told.splitlines()) == 2  # it knows nothing of the bare cosine
    assert "auto" not in group_table(outcomes, GROUPS, None)


def test_the_table_of_scores(outcomes: list[Outcome]) -> None:
    assert cells(score_table(outcomes[:2], GROUPS), "b, all people, 20") == ["100.0%", "100.0%", "+0.0"]
    assert cells(score_table(outcomes[:1], GROUPS), "a, all people, 20") == ["50.0%"]


def test_json_holds_no_nan(outcomes: list[Outcome]) -> None:
    """Which other programs can't read; what can't be told is null."""
    written = gallery_json(outcomes, GROUPS, None)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    rates = written[0]["rates"]
    assert set(rates) == {MIXED, "a", "b"}
    assert rates["a"]["at_fpir"][2] == {"fpir": 0.001, "threshold": None, "fnir": None}
