"""Galleries in real stores, of people whose embeddings say plainly who is who."""

from __future__ import annotations

import pytest

from scripts.bench.evaluation.draws import MIXED, OTHERS, draws
from scripts.bench.evaluation.gallery_run import Outcome, Setup, compositions, search_galleries, sizes_of
from scripts.bench.evaluation.observing import Observed
from scripts.bench.evaluation.searching import SCORES
from scripts.bench.evaluation.sources import Portrait
from service.values import ModelContract

CONTRACT = ModelContract(model="casia-webface", digest="0" * 64, preprocessing=1, dimension=512)
GROUPS = {str(person): "first" if person < 4 else OTHERS for person in range(12)}

Crowd = dict[Portrait, Observed]


async def outcomes_of(crowd: Crowd, sizes: tuple[int, ...], groups: dict[str, str], per_member: int) -> list[Outcome]:
    setup = Setup(sizes=sizes, per_member=per_member, scores=SCORES)
    drawn = list(draws(list(crowd), groups, 2))
    observed = {portrait.path: each for portrait, each in crowd.items()}
    return await search_galleries(drawn, setup, observed, groups, CONTRACT)


@pytest.mark.slow
async def test_members_are_found_and_strangers_are_not(crowd: Crowd) -> None:
    """By every score, in both draws; only photos without a face are missed."""
    groups = dict.fromkeys(GROUPS, OTHERS)
    outcomes = await outcomes_of(crowd, (6,), groups, per_member=1)
    assert [(each.composition, each.size, each.score) for each in outcomes] == [
        (MIXED, 6, "cohort"),
        (MIXED, 6, "cosine"),
        (MIXED, 6, "centred"),
        (MIXED, 6, "centred+cohort"),
    ]
    for each in outcomes:
        assert len(each.by_draw) == 2
        for searches in each.by_draw:
            assert len(searches.ranks) == 12
            assert len(searches.stranger_scores) == 18
        pooled = each.pooled
        assert pooled.fpir(0.4) == 0
        assert set(pooled.ranks[pooled.scores >= 0.4]) == {1}
        assert set(pooled.ranks[pooled.scores < 0.4]) <= {0, 2, 3, 4, 5}  # those whose enrolled photo has no face


@pytest.mark.slow
async def test_groups_have_galleries_of_their_own_and_a_mixed_one(crowd: Crowd) -> None:
    """Of the sizes that there are people for; the smaller group's size is added to all."""
    outcomes = await outcomes_of(crowd, (3, 50), GROUPS, per_member=2)
    sizes = {name: [o.size for o in outcomes if o.composition == name and o.score == "cosine"] for name in (
        "first", OTHERS, MIXED
    )}  # fmt: skip
    assert sizes == {"first": [2], OTHERS: [2, 3, 4], MIXED: [2, 3, 4, 6]}
    largest = next(each for each in outcomes if each.composition == MIXED and each.size == 6)
    assert 10 <= largest.faces <= 12
    assert set(largest.pooled.stranger_groups) == set(largest.pooled.member_groups) == {"first", OTHERS}


def test_sizes_that_nobody_fills_are_left_out(crowd: Crowd) -> None:
    (drawn,) = draws(list(crowd), GROUPS, 1)
    assert compositions(drawn) == ["first", OTHERS, MIXED]
    assert sizes_of(drawn, "first", (1, 3)) == [1, 2]
    assert sizes_of(drawn, MIXED, (1, 3)) == [1, 2, 3]
