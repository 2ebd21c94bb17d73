"""Thresholds and the rates they give, with ties and weights treated in one way: what 1:1 and 1:N have in common."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Shape (n,); -inf for what no threshold accepts, such as a photo without a face."""


def share_at_or_above(scores: Scores, threshold: float, weights: Scores | None = None) -> float:
    """The share of the scores that a threshold accepts, NaN without scores; `weights` say how often each counts."""
    accepted = scores >= threshold
    if weights is None:
        return float(accepted.mean()) if scores.size else math.nan
    total = weights.sum()
    return float(weights[accepted].sum() / total) if total else math.nan


def threshold_at(rate: float, scores: Scores, weights: Scores | None = None) -> float | None:
    """The least threshold that accepts at most this share of the scores (those of strangers, or of different people).

    None where fewer than one of them would make up the share: then the data can't tell. Scores that are equal are
    accepted or refused together, so a tie makes the threshold stricter, never looser.
    """
    counts = np.ones(len(scores)) if weights is None else weights
    allowed = rate * counts.sum() + 1e-9  # 0.1 × 30 must allow 3, which floats make 3.0000000000000004 or less
    if allowed < 1:
        return None
    order = np.argsort(-scores, kind="stable")
    beyond = np.flatnonzero(np.cumsum(counts[order]) > allowed)
    return max(-1.0, float(np.nextafter(scores[order][beyond[0]], math.inf))) if beyond.size else -1.0


def interval(estimates: Scores) -> tuple[float, float]:
    """The middle 95 % of bootstrap estimates; NaN ones, of replicates that can't tell, don't count."""
    known = estimates[~np.isnan(estimates)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
