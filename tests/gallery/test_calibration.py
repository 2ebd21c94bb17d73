"""Error rates of a gallery by hand: shares, intervals, thresholds, and who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from service.gallery.calibration import Calibration, Trials, people_for, rate, similarity_at
from service.gallery.cross_search import Answers, People, Searched


def trials(*scores: float, owners: Sequence[int] | None = None) -> Trials:
    return Trials.of(np.array(scores), np.arange(len(scores)) if owners is None else np.array(owners))


def answers(*of: tuple[int, float, int]) -> Answers:
    """Probe, score, and who it is taken for."""
    probes, scores, owners = zip(*of, strict=True) if of else ((), (), ())
    return Answers(probes=np.array(probes, int), scores=np.array(scores, float), owners=np.array(owners, int))


def calibration(strangers: Trials, members: Trials | None = None) -> Calibration:
    return Calibration(strangers=strangers, members=members or trials(), alike=())


class TestTrials:
    def test_a_score_at_the_threshold_reaches_it(self) -> None:
        one_in_each = trials(0.5, 0.4, 0.3, 0.2)
        assert one_in_each.shares(np.array([0.6, 0.5, 0.4, 0.35, -1.0])) == pytest.approx([0, 0.25, 0.5, 0.5, 1])

    def test_all_and_none_are_exact(self) -> None:
        """However many weights are summed up."""
        many = trials(*[0.5] * 10_007)
        assert many.share(0.5) == 1
        assert many.share(0.6) == 0

    def test_each_person_weighs_the_same(self) -> None:
        """Whoever has four photos counts no more than who has one."""
        uneven = trials(0.9, 0.1, 0.1, 0.1, 0.9, owners=[0, 0, 0, 0, 1])
        assert uneven.people == 2
        assert uneven.share(0.5) == pytest.approx((0.25 + 1) / 2)


class TestRates:
    @pytest.mark.parametrize(
        ("wrong", "people", "low", "high"), [(0, 10, 0, 0.2775), (1, 10, 0.0179, 0.4042), (5, 100, 0.0215, 0.1118)]
    )
    def test_intervals_are_wilsons(self, wrong: int, people: int, low: float, high: float) -> None:
        """As the literature's examples have them (Newcombe, 1998)."""
        assert rate(wrong / people, people) == pytest.approx((wrong / people, low, high), abs=1e-4)

    def test_people_that_it_takes(self) -> None:
        """Three in the rate."""
        assert [people_for(each) for each in (0.001, 0.01, 0.03, 0.1)] == [3000, 300, 100, 30]
        assert not calibration(trials(*[0.1] * 299)).shows(0.01)
        assert calibration(trials(*[0.1] * 300)).shows(0.01)


class TestThresholds:
    def test_the_least_with_no_more_than_the_wanted_errors(self) -> None:
        """Among the thousandths; one stranger of ten is just 10 %."""
        found = calibration(trials(*(number / 10 for number in range(10))))
        assert found.threshold(0.1) == 0.801
        assert found.threshold(0.19) == 0.801
        assert found.threshold(0.2) == 0.701
        assert found.at(0.801).fpir.share == pytest.approx(0.1)

    def test_none_is_high_enough(self) -> None:
        assert calibration(trials(*[1.2] * 5)).threshold(0.1) == 1.0

    def test_of_pairs(self) -> None:
        """Between one pair in ten and the next."""
        pairs = np.linspace(0.05, 0.95, 10, dtype=np.float32)
        assert similarity_at(0.1, pairs) == 0.851
        assert similarity_at(0.0, pairs) == 0.951


class TestMembers:
    PEOPLE = People(embeddings=np.zeros((5, 512), np.float32), owners=np.array([0, 0, 1, 1, 2]))

    def test_misses(self) -> None:
        """Below the threshold, or another comes first; each of two people weighs a half."""
        searched = Searched(
            strangers=answers((0, 0.1, 1), (1, 0.3, 2), (2, 0.2, 0), (3, 0.2, 2), (4, 0.6, 1)),
            members=answers((0, 0.9, 0), (1, 0.9, 2), (2, 0.5, 1), (3, 0.7, 1)),
        )
        found = Calibration.of(self.PEOPLE, [searched])
        assert found.rank_1 == rate(0.75, 2)
        assert found.at(0.6).fnir is not None
        assert found.at(0.6).fnir == pytest.approx((0.5, *(1 - each for each in rate(0.5, 2)[:0:-1])))
        assert found.at(0.6).fpir == pytest.approx(rate(1 / 3, 3), abs=1e-8)
        assert found.at(0.25).fpir.share == pytest.approx((0.5 + 0 + 1) / 3)

    def test_nobody_has_several_photos(self) -> None:
        """Then nothing is known of misses."""
        one_each = People(embeddings=np.zeros((2, 512), np.float32), owners=np.array([0, 1]))
        found = Calibration.of(one_each, [Searched(strangers=answers((0, 0.5, 1), (1, 0.5, 0)), members=answers())])
        assert found.rank_1 is None
        assert found.at(0.4).fnir is None
        assert found.at(0.4).fpir == pytest.approx((1.0, 0.342, 1.0), abs=1e-3)

    def test_who_is_taken_for_whom(self) -> None:
        """Each pair once, with the better of its scores, most alike first."""
        blocks = [
            Searched(strangers=answers((0, 0.1, 1), (1, 0.3, 2)), members=answers()),
            Searched(strangers=answers((2, 0.2, 0), (3, 0.4, 2), (4, 0.6, 1)), members=answers()),
        ]
        assert Calibration.of(self.PEOPLE, blocks).alike == ((1, 2, 0.6), (0, 2, 0.3), (0, 1, 0.2))
