"""The score: how far a face stands out from the nearest other people."""

from __future__ import annotations

import numpy as np
import pytest

from service.gallery.scoring import ABSENT_SIMILARITY, SAME_PERSON, Candidate, has_cohort, rank
from service.values import Neighbour


def neighbours(*of: tuple[str, float]) -> list[Neighbour]:
    return [Neighbour(number, remark, similarity) for number, (remark, similarity) in enumerate(of, 1)]


def scores(candidates: list[Candidate]) -> list[float]:
    return [each.score for each in candidates]


OTHERS = [(name, 0.5) for name in "bcdef"]


def test_half_the_mean_similarity_of_the_five_nearest_other_people_is_taken_off() -> None:
    """Whoever is farther away than they changes nothing."""
    near = neighbours(("a", 0.9), ("b", 0.6), ("c", 0.5), ("d", 0.4), ("e", 0.3), ("f", 0.2), ("g", 0.1), ("h", 0.1))
    assert scores(rank(near, "cohort", complete=True))[0] == pytest.approx(0.9 - 0.5 * 0.4)
    assert scores(rank(near[:6], "cohort", complete=True))[0] == pytest.approx(0.9 - 0.5 * 0.4)


def test_the_cosine_is_left_as_it_is() -> None:
    near = neighbours(("a", 0.9), ("b", 0.6))
    assert rank(near, "cosine", complete=True) == [(near[0], 0.9), (near[1], 0.6)]


def test_the_faces_of_one_remark_are_one_person() -> None:
    """More photos of a person neither lower their own scores nor weigh more in the others'."""
    once = rank(neighbours(("a", 0.9), *OTHERS), "cohort", complete=True)
    twice = rank(neighbours(("a", 0.9), ("a", 0.8), *OTHERS), "cohort", complete=True)
    assert scores(twice)[0] == scores(once)[0]
    assert twice[1].neighbour.similarity == 0.8
    assert scores(twice)[1] == pytest.approx(0.8 - 0.25)
    assert scores(twice)[-1] == pytest.approx(scores(once)[-1])


def test_who_looks_like_everybody_scores_less_than_who_stands_out() -> None:
    """With the same cosine."""
    alike = rank(neighbours(("a", 0.69), *((name, 0.64) for name in "bcdef")), "cohort", complete=True)
    apart = rank(neighbours(("a", 0.69), *((name, 0.3) for name in "bcdef")), "cohort", complete=True)
    assert scores(alike)[0] < 0.4
    assert scores(apart)[0] > 0.5


def test_people_who_are_missing_count_as_moderately_alike() -> None:
    """So that one score means about the same in a gallery of one."""
    [alone] = rank(neighbours(("a", 0.9)), "cohort", complete=True)
    assert alone.score == pytest.approx(0.9 - 0.5 * ABSENT_SIMILARITY)


def test_people_beyond_the_candidates_count_as_the_last_of_these() -> None:
    """They can't be nearer, and a person with very many photos has no higher scores for pushing them out."""
    crowd = [("a", 0.9 - number / 1000) for number in range(62)] + [("b", 0.5), ("a", 0.4)]
    [best, *_] = rank(neighbours(*crowd), "cohort", complete=False)
    assert best.score == pytest.approx(0.9 - 0.5 * (0.5 + 4 * 0.4) / 5)


def test_somebody_registered_under_many_remarks_is_still_recognised() -> None:
    """Photos so similar that they show the same person are in nobody's cohort, however many there are."""
    once = rank(neighbours(("a", 0.9), *OTHERS), "cohort", complete=True)
    photos = [(f"a, photo {number}", SAME_PERSON + number / 100) for number in range(10, -1, -1)]
    often = rank(neighbours(("a", 0.9), *photos, *OTHERS), "cohort", complete=True)
    assert scores(often)[0] == scores(once)[0]
    assert [each.score for each in often[:12]] == pytest.approx(
        [each.neighbour.similarity - 0.25 for each in often[:12]]
    )
    alone = rank(neighbours(("a", 0.9), *photos), "cohort", complete=True)
    assert alone[0].score == pytest.approx(0.9 - 0.5 * ABSENT_SIMILARITY)


def test_in_a_huge_gallery_where_all_neighbours_are_very_near_nobody_stands_out_far() -> None:
    """Whoever was not read may be as near."""
    crowd = [(f"person {number}", 0.9 - number / 1000) for number in range(64)]
    assert rank(neighbours(*crowd), "cohort", complete=False)[0].score == pytest.approx(0.9 - 0.5 * SAME_PERSON)


def test_a_cohort_takes_two_people_who_are_neither_the_best_nor_the_same() -> None:
    assert has_cohort(neighbours(("a", 0.6), *OTHERS[:2]))
    assert has_cohort(neighbours(("a", 0.9), ("a again", 0.8), *OTHERS[:2]))
    assert not has_cohort(neighbours(("a", 0.9), *OTHERS[:1]))
    assert not has_cohort(neighbours(("a", 0.9), ("a", 0.6), *OTHERS[:1]))


def test_best_first() -> None:
    """The order is the scores'; of equal ones the first stays first."""
    ranked = rank(neighbours(("a", 0.9), ("b", 0.9), *OTHERS), "cohort", complete=True)
    assert [each.neighbour.remark for each in ranked][:2] == ["a", "b"]
    assert scores(ranked) == sorted(scores(ranked), reverse=True)


def test_the_order_of_people_is_that_of_their_similarities() -> None:
    """Also around the similarity from which on two are taken for the same person."""
    random = np.random.default_rng(7)
    for _ in range(300):
        similarities = np.sort(random.uniform(0.4, 0.9, size=20))[::-1]
        near = neighbours(*((f"person {random.integers(12)}", float(each)) for each in similarities))
        ranked = rank(near, "cohort", complete=bool(random.integers(2)))
        assert list(dict.fromkeys(each.neighbour.remark for each in ranked)) == list(
            dict.fromkeys(each.remark for each in near)
        )
        assert ranked[0].neighbour == near[0]


def test_nobody_near() -> None:
    assert rank([], "cohort", complete=True) == []
    assert not has_cohort([])
