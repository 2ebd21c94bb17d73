"""Members and strangers are drawn fairly, and the same way each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.bench.evaluation.draws import MIXED, OTHERS, SEARCHES, Draw, draws
from scripts.bench.evaluation.sources import Portrait, Role

SMALL = "small"
PEOPLE = [
    Portrait(Path(f"{name}/{photo}.jpg"), f"{name}")
    for name in range(40)
    for photo in range(1 + name % 3)  # a third each has one, two and three
]
GROUPS = {str(name): SMALL if name < 10 else OTHERS for name in range(40)}


@pytest.fixture
def drawn() -> Draw:
    return next(draws(PEOPLE, GROUPS, 1))


def names(portraits: tuple[Portrait, ...]) -> set[str]:
    return {each.identity for each in portraits}


def test_half_of_each_group_are_strangers(drawn: Draw) -> None:
    assert {group: len(members) for group, members in drawn.members.items()} == {OTHERS: 15, SMALL: 5}
    strangers = {each.identity for group in drawn.strangers.values() for each in group}
    members = {each.identity for group in drawn.members.values() for person in group for each in person}
    assert strangers | members == set(GROUPS)
    assert not strangers & members


def test_a_photo_is_enrolled_or_searched_for(drawn: Draw) -> None:
    """One of each member, whose others are the probes; nobody's only photo is one."""
    gallery = drawn.gallery(MIXED, 20, per_member=1)
    assert len(gallery.members) == len(names(gallery.members)) == 20
    assert names(gallery.probes) <= names(gallery.members)
    assert not set(gallery.probes) & set(gallery.members)
    assert not names(gallery.strangers) & names(gallery.members)


def test_several_photos_of_a_member_may_be_enrolled(drawn: Draw) -> None:
    """As long as one is left to search for."""
    gallery = drawn.gallery(OTHERS, 15, per_member=2)
    for name in names(gallery.members):
        photos = 1 + int(name) % 3
        assert sum(each.identity == name for each in gallery.members) == max(1, photos - 1)


def test_those_who_can_be_searched_for_enter_first(drawn: Draw) -> None:
    gallery = drawn.gallery(OTHERS, 5, per_member=1)
    assert names(gallery.probes) == names(gallery.members)


def test_a_gallery_is_of_a_group_or_of_all_in_equal_parts(drawn: Draw) -> None:
    """As far as a group has so many; the rest is of the others."""
    groups = [GROUPS[each.identity] for each in drawn.gallery(MIXED, 14, per_member=1).members]
    assert groups.count(SMALL) == 5
    assert groups.count(OTHERS) == 9
    assert {GROUPS[name] for name in names(drawn.gallery(SMALL, 4, per_member=1).members)} == {SMALL}
    assert drawn.most(SMALL) == 5
    assert drawn.most(MIXED) == 20


def test_a_larger_gallery_holds_the_smaller(drawn: Draw) -> None:
    """So that sizes differ by those who join, not by chance."""
    assert set(drawn.gallery(MIXED, 6, per_member=1).members) < set(drawn.gallery(MIXED, 12, per_member=1).members)


def test_draws_differ_and_can_be_repeated() -> None:
    one, other = draws(PEOPLE, GROUPS, 2)
    assert one.members != other.members
    assert [one, other] == list(draws(PEOPLE, GROUPS, 2))


def test_searches_are_limited() -> None:
    """Of a group's strangers, lest minutes become hours."""
    crowd = [Portrait(Path(f"{name}"), str(name // 2)) for name in range(4 * SEARCHES + 100)]
    (drawn,) = draws(crowd, dict.fromkeys((each.identity for each in crowd), OTHERS), 1)
    gallery = drawn.gallery(OTHERS, 10, per_member=1)
    assert len(set(gallery.strangers)) == SEARCHES


def test_roles_of_an_index_are_kept() -> None:
    """Every photo for the gallery is enrolled; whoever has a probe only is nobody's member."""
    roles: list[tuple[str, Role]] = [
        ("ann", "gallery"), ("ann", "gallery"), ("ann", "probe"), ("bob", "gallery"), ("cy", "unknown"), ("di", "probe")
    ]  # fmt: skip
    index = [Portrait(Path(str(number)), name, role) for number, (name, role) in enumerate(roles)]
    (drawn,) = draws(index, dict.fromkeys(("ann", "bob", "cy", "di"), OTHERS), 1)
    gallery = drawn.gallery(OTHERS, 2, per_member=1)
    assert {each.path.name for each in gallery.members} == {"0", "1", "3"}
    assert {each.path.name for each in gallery.probes} == {"2"}
    assert {each.path.name for each in gallery.strangers} == {"4"}
