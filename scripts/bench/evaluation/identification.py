"""Open-set identification (1:N): what a gallery answered to members and to strangers, as rates of ISO/IEC 19795."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.bench.evaluation.rates import Scores, share_at_or_above, threshold_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Searches:
    """Searches of one gallery, one a photo.

    Of members: `ranks` (m,), the place of the right person among the answers, 1 for the first, 0 for none; `scores`
    (m,) of the first answer; `member_groups` (m,). Of strangers: `stranger_scores` (s,) of the first answer, and
    `stranger_groups` (s,). A score is -inf where a photo had no face.
    """

    ranks: NDArray[np.int64]
    scores: Scores
    member_groups: NDArray[np.str_]
    stranger_scores: Scores
    stranger_groups: NDArray[np.str_]

    @classmethod
    def pooled(cls, parts: Sequence[Searches]) -> Searches:
        """All searches of several galleries."""
        return cls(
            ranks=np.concatenate([each.ranks for each in parts]),
            scores=np.concatenate([each.scores for each in parts]),
            member_groups=np.concatenate([each.member_groups for each in parts]),
            stranger_scores=np.concatenate([each.stranger_scores for each in parts]),
            stranger_groups=np.concatenate([each.stranger_groups for each in parts]),
        )

    def of_group(self, group: str) -> Searches:
        """The searches by members and strangers of one group."""
        members, strangers = self.member_groups == group, self.stranger_groups == group
        return Searches(
            ranks=self.ranks[members],
            scores=self.scores[members],
            member_groups=self.member_groups[members],
            stranger_scores=self.stranger_scores[strangers],
            stranger_groups=self.stranger_groups[strangers],
        )

    def rank_rate(self, rank: int) -> float:
        """Share of the members' searches with the right person among the first `rank` answers, whatever the score."""
        found = (self.ranks >= 1) & (self.ranks <= rank)
        return float(found.mean()) if found.size else float("nan")

    def found(self, threshold: float) -> float:
        """True positive identification rate: share of members' searches with the right person first, at or above."""
        # What has the right person elsewhere than first is found at no threshold.
        return share_at_or_above(self._first, threshold)

    def fnir(self, threshold: float) -> float:
        """False negative identification rate: the members who are not found."""
        return 1 - self.found(threshold)

    def fpir(self, threshold: float) -> float:
        """False positive identification rate: share of the strangers' searches with any answer at or above."""
        return share_at_or_above(self.stranger_scores, threshold)

    def threshold_at(self, fpir: float) -> float | None:
        """The least threshold with at most this FPIR; None where the strangers are too few to tell."""
        return threshold_at(fpir, self.stranger_scores)

    def curves(self, thresholds: Scores) -> tuple[Scores, Scores]:
        """FPIR and FNIR at thresholds, each (thresholds,)."""
        found = _shares(self._first, thresholds)
        return _shares(self.stranger_scores, thresholds), 1 - found

    @property
    def _first(self) -> Scores:
        return np.where(self.ranks == 1, self.scores, -np.inf)


def _shares(scores: Scores, thresholds: Scores) -> Scores:
    """`share_at_or_above` for many thresholds at once."""
    if not scores.size:
        return np.full(len(thresholds), np.nan)
    shares: Scores = 1 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)
    return shares
