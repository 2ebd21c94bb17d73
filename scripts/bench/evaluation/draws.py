"""Who is a member of the gallery and who a stranger, drawn by a seed: half of the people each, in every group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.bench.evaluation.sources import Portrait

OTHERS = "others"
MIXED = "all people"
"""The gallery of members of all groups."""

SEARCHES = 1000
"""Of members and of strangers, at most so many photos of each group are searched for in one gallery."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Portraits that are enrolled, those of members that are searched for, and those of strangers; each by chance."""

    members: tuple[Portrait, ...]
    probes: tuple[Portrait, ...]
    strangers: tuple[Portrait, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """One division of the people: members in the order in which they enter a gallery, and strangers, by group."""

    members: Mapping[str, Sequence[Sequence[Portrait]]]
    """The portraits of each member of a group."""
    strangers: Mapping[str, Sequence[Portrait]]
    seed: int

    def most(self, composition: str) -> int:
        """People of the largest gallery of a group's members alone, or of all."""
        return sum(len(self.members[group]) for group in self._groups(composition))

    def gallery(self, composition: str, size: int, per_member: int) -> Gallery:
        """`size` members of a group alone, or of all groups in equal parts as far as they have so many members.

        With `per_member` portraits of each enrolled, or one less than there are of those who have fewer, the others are
        probes. Strangers of every group are searched for in every gallery.
        """
        members = self._chosen(composition, size)
        enrolled: list[Portrait] = []
        probes: dict[str, list[Portrait]] = {}
        for group, portraits in members:
            gallery, others = _parted(portraits, per_member)
            enrolled += gallery
            probes.setdefault(group, []).extend(others)
        draw = np.random.default_rng([self.seed, size])
        searched = [each for group in probes.values() for each in _some(draw, group)]
        strangers = [each for group in self.strangers.values() for each in _some(draw, group)]
        return Gallery(tuple(enrolled), tuple(searched), tuple(strangers))

    def _groups(self, composition: str) -> list[str]:
        return list(self.members) if composition == MIXED else [composition]

    def _chosen(self, composition: str, size: int) -> list[tuple[str, Sequence[Portrait]]]:
        """The first members of each group, as many of each as there are, until the gallery is full."""
        queues = {group: iter(self.members[group]) for group in self._groups(composition)}
        chosen: list[tuple[str, Sequence[Portrait]]] = []
        while queues and len(chosen) < size:
            for group, queue in list(queues.items()):
                if (member := next(queue, None)) is None:
                    del queues[group]
                elif len(chosen) < size:
                    chosen.append((group, member))
        return chosen


def draws(portraits: Sequence[Portrait], group_of: Mapping[str, str], number: int) -> Iterator[Draw]:
    """`number` divisions, the same each time."""
    for seed in range(number):
        yield _divided(portraits, group_of, seed) if portraits[0].role is None else _given(portraits, group_of, seed)


def _divided(portraits: Sequence[Portrait], group_of: Mapping[str, str], seed: int) -> Draw:
    """Half of each group's people are strangers. Members with several portraits enter first, to have probes."""
    draw = np.random.default_rng(seed)
    people = _shuffled(draw, portraits)
    members: dict[str, list[Sequence[Portrait]]] = {}
    strangers: dict[str, list[Portrait]] = {}
    for group in sorted(set(group_of.values())):
        of_group = [people[name] for name in people if group_of[name] == group]
        half = (len(of_group) + 1) // 2
        members[group] = sorted(of_group[:half], key=lambda each: len(each) == 1)
        strangers[group] = [each for person in of_group[half:] for each in person]
    return Draw(members, strangers, seed)


def _given(portraits: Sequence[Portrait], group_of: Mapping[str, str], seed: int) -> Draw:
    """As the index says: all portraits for the gallery are enrolled, before those of the same person as probes."""
    draw = np.random.default_rng(seed)
    of_members = [each for each in portraits if each.role != "unknown"]
    people = _shuffled(draw, of_members)
    enrolled = [name for name, person in people.items() if any(each.role == "gallery" for each in person)]
    groups = sorted(set(group_of.values()))
    return Draw(
        members={group: [people[name] for name in enrolled if group_of[name] == group] for group in groups},
        strangers={
            group: [each for each in portraits if each.role == "unknown" and group_of[each.identity] == group]
            for group in groups
        },
        seed=seed,
    )


def _parted(portraits: Sequence[Portrait], per_member: int) -> tuple[list[Portrait], list[Portrait]]:
    """A member's portraits to enroll, and the others."""
    if portraits[0].role is not None:
        return (
            [each for each in portraits if each.role == "gallery"],
            [each for each in portraits if each.role == "probe"],
        )
    enrolled = max(1, min(per_member, len(portraits) - 1))
    return list(portraits[:enrolled]), list(portraits[enrolled:])


def _shuffled(draw: np.random.Generator, portraits: Sequence[Portrait]) -> dict[str, list[Portrait]]:
    """The portraits of each person, people and portraits in an order by chance."""
    people: dict[str, list[Portrait]] = {}
    for index in draw.permutation(len(portraits)):
        people.setdefault(portraits[index].identity, []).append(portraits[index])
    names = sorted(people)
    return {names[index]: people[names[index]] for index in draw.permutation(len(names))}


def _some(draw: np.random.Generator, portraits: Sequence[Portrait]) -> list[Portrait]:
    """SEARCHES of them at most."""
    return [portraits[index] for index in draw.permutation(len(portraits))[:SEARCHES]]
