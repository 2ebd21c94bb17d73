"""What galleries answered, as tables and as JSON: by size, threshold, score and group of people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from scripts.bench.evaluation.draws import MIXED
from scripts.bench.evaluation.gallery_run import Outcome
from scripts.bench.evaluation.identification import Searches
from scripts.bench.evaluation.rates import Scores
from service.commands.markdown import table
from service.gallery.thresholds import ThresholdFor

FPIRS = (0.1, 0.01, 0.001)
COMPARED_FPIR = 0.01
"""At which scores and groups are compared."""

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
CURVE = np.round(np.arange(-1, 1.0001, 0.005), 3)
"""Thresholds of the curves, (401,)."""

TERMS = """\
Rank-1, rank-5: share of the members' searches with the right person first, or among the first five, at any score.
FPIR, false positive identification rate: share of the strangers' searches answered with anybody.
FNIR, false negative identification rate (misses): share of the members' searches without the right person first and at
or above the threshold; the others are found. A member whose photo was refused is missed, a stranger isn't accepted.
Threshold at an FPIR: the least score at which the strangers of all draws together stay at or below it; – where they
are too few to tell. ± is the standard deviation over draws. The terms are those of ISO/IEC 19795-1 and NIST FRTE."""


def size_table(outcomes: Iterable[Outcome]) -> str:
    """Ranks, and misses at each of FPIRS, for every gallery of all people."""
    header = ["score, people", "searches: members / strangers", "rank-1", "rank-5"]
    header += [f"FNIR at FPIR {fpir:g} (threshold)" for fpir in FPIRS]
    rows = []
    for each in _of(outcomes, MIXED):
        number = (
            f"{_mean(each, lambda one: len(one.ranks)):.0f} / {_mean(each, lambda one: len(one.stranger_scores)):.0f}"
        )
        row = [f"{each.score}, {each.size}", number]
        row += [_spread(each.by_draw, lambda one, rank=rank: one.rank_rate(rank)) for rank in (1, 5)]  # type: ignore[misc]
        for fpir in FPIRS:
            threshold = each.pooled.threshold_at(fpir)
            row.append("–" if threshold is None else f"{_misses(each.by_draw, threshold)} ({threshold:.3f})")
        rows.append(row)
    return table(header, rows)


def threshold_table(outcomes: Iterable[Outcome]) -> str:
    """FPIR and FNIR at each of THRESHOLDS, for every gallery of all people."""
    header = ["FPIR / FNIR at", *(f"{threshold:g}" for threshold in THRESHOLDS)]
    rows = [
        [
            f"{each.score}, {each.size}",
            *(f"{_percent(each.pooled.fpir(at))} / {_percent(each.pooled.fnir(at))}" for at in THRESHOLDS),
        ]
        for each in _of(outcomes, MIXED)
    ]
    return table(header, rows)


def score_table(outcomes: Sequence[Outcome], groups: Sequence[str]) -> str:
    """Members of a group found where 1 % of its strangers are taken for somebody, by each score and gallery."""
    scores = list(dict.fromkeys(each.score for each in outcomes))
    header = [f"found at FPIR {COMPARED_FPIR:g}: group, gallery, people", *scores]
    header += [f"{scores[0]} less {scores[1]}, points"] if len(scores) > 1 else []
    by_gallery: dict[tuple[str, str, int], list[float]] = {}
    for group in groups:
        for each in outcomes:
            if each.composition in {group, MIXED}:
                found = _found_at_own(each, group)
                by_gallery.setdefault((group, each.composition, each.size), []).append(found)
    rows = []
    for (group, composition, size), shares in by_gallery.items():
        row = [f"{group}, {composition}, {size}", *map(_percent, shares)]
        points = (shares[0] - shares[1]) * 100 if len(shares) > 1 else math.nan
        rows.append([*row, *(["–" if math.isnan(points) else f"{points:+.1f}"] if len(scores) > 1 else [])])
    return table(header, rows)


def group_table(outcomes: Sequence[Outcome], groups: Sequence[str], automatic: ThresholdFor | None) -> str:
    """FPIR and FNIR of each group at one and the same threshold: the service's own, or that of 1 % of all strangers.

    `automatic` is what FACE_THRESHOLD=auto chooses, for the score that it knows.
    """
    header = ["score, gallery, people", "threshold"]
    header += [f"{rate}, {group}" for rate in ("FPIR", "FNIR") for group in groups]
    mixed = {(each.size, each.score): each.pooled.threshold_at(COMPARED_FPIR) for each in _of(outcomes, MIXED)}
    rows = []
    for each in outcomes:
        thresholds = {f"{COMPARED_FPIR:.0%} of all": mixed.get((each.size, each.score))}
        if automatic is not None and each.score == "cohort":
            thresholds["auto"] = automatic(each.faces)
        for name, threshold in thresholds.items():
            if threshold is not None:
                parts = [each.pooled.of_group(group) for group in groups]
                rates = [part.fpir(threshold) for part in parts] + [part.fnir(threshold) for part in parts]
                row = [f"{each.score}, {each.composition}, {each.size}", f"{threshold:.3f} ({name})"]
                rows.append([*row, *map(_percent, rates)])
    return table(header, rows)


def gallery_json(outcomes: Sequence[Outcome], groups: Sequence[str], automatic: ThresholdFor | None) -> list[Any]:
    """All of it, with curves over the thresholds of CURVE for all people and for each group."""
    return [
        {
            "composition": each.composition,
            "people": each.size,
            "faces": each.faces,
            "score": each.score,
            "draws": [_figures(one) for one in each.by_draw],
            "automatic_threshold": automatic(each.faces) if automatic and each.score == "cohort" else None,
            "thresholds": CURVE.tolist(),
            "rates": {group: _rates(part) for group, part in _parts(each.pooled, groups).items()},
        }
        for each in outcomes
    ]


def _figures(searches: Searches) -> dict[str, Any]:
    figures = {"member_searches": len(searches.ranks), "stranger_searches": len(searches.stranger_scores)}
    return figures | {f"rank_{rank}": _or_none(searches.rank_rate(rank)) for rank in (1, 5)}


def _rates(searches: Searches) -> dict[str, Any]:
    fpir, fnir = searches.curves(CURVE)
    at_fpirs = []
    for wanted in FPIRS:
        threshold = searches.threshold_at(wanted)
        found = None if threshold is None else _or_none(searches.fnir(threshold))
        at_fpirs.append({"fpir": wanted, "threshold": threshold, "fnir": found})
    return {"fpir": _listed(fpir), "fnir": _listed(fnir), "at_fpir": at_fpirs}


def _parts(searches: Searches, groups: Sequence[str]) -> dict[str, Searches]:
    """All people, and each group where there are several."""
    return {MIXED: searches} | ({group: searches.of_group(group) for group in groups} if len(groups) > 1 else {})


def _found_at_own(outcome: Outcome, group: str) -> float:
    """Members of a group found at the threshold that its own strangers give; NaN where they are too few."""
    searches = outcome.pooled.of_group(group)
    threshold = searches.threshold_at(COMPARED_FPIR)
    return math.nan if threshold is None else searches.found(threshold)


def _of(outcomes: Iterable[Outcome], composition: str) -> list[Outcome]:
    return [each for each in outcomes if each.composition == composition]


def _mean(outcome: Outcome, figure: Callable[[Searches], float]) -> float:
    return float(np.mean([figure(each) for each in outcome.by_draw]))


def _misses(by_draw: Sequence[Searches], threshold: float) -> str:
    return _spread(by_draw, lambda each: each.fnir(threshold))


def _spread(by_draw: Sequence[Searches], rate: Callable[[Searches], float]) -> str:
    """Mean and standard deviation over draws."""
    rates = [rate(each) for each in by_draw]
    deviation = f" ± {np.std(rates, ddof=1):.1%}" if len(rates) > 1 else ""
    return f"{_percent(float(np.mean(rates)))}{deviation}"


def _percent(rate: float) -> str:
    """With two digits that mean something where a rate is small."""
    if math.isnan(rate):
        return "–"
    return f"{rate:.2%}" if 0 < rate < 0.01 else f"{rate:.1%}"  # noqa: PLR2004 - 1 %


def _listed(rates: Scores) -> list[float | None]:
    return [_or_none(round(float(each), 6)) for each in rates]


def _or_none(rate: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(rate) else rate
