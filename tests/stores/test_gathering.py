"""How far a search reads what it found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from service.stores.gathering import READ_AT_ONCE, Gathering
from service.values import StoredFace
from tests.support.stored_faces import face


def hits(number: int) -> list[Any]:
    return [SimpleNamespace(id=each, score=1.0 - each / 100) for each in range(1, number + 1)]


def read(gathering: Gathering, **changes: Any) -> list[list[int]]:
    """Read all that is wanted; what was wanted each time."""
    asked = []
    while ids := gathering.wanted():
        asked.append(ids)
        gathering.add({number: face(number, **changes) for number in ids})
    return asked


def test_it_reads_on_until_there_are_enough_people() -> None:
    """In groups; somebody with very many photos makes it read them all."""
    everyone = hits(3 * READ_AT_ONCE)
    groups = [[hit.id for hit in everyone[start : start + READ_AT_ONCE]] for start in range(0, 24, READ_AT_ONCE)]
    assert read(Gathering(everyone, people=6)) == groups[:1]
    assert read(Gathering(everyone, people=READ_AT_ONCE + 1)) == groups[:2]
    assert read(Gathering(everyone, people=2), remark="ann") == groups
    assert read(Gathering(everyone, people=None)) == groups
    assert read(Gathering(hits(0), people=6)) == []


def test_a_face_that_was_removed_meanwhile_is_left_out() -> None:
    """The others keep their order."""
    gathering = Gathering(hits(3), people=None)
    gathering.add({number: face(number) for number in gathering.wanted() if number != 2})
    nearest = gathering.nearest()
    assert [each.face_id for each in nearest.neighbours] == [1, 3]
    assert nearest.found == 3


@pytest.mark.parametrize(("score", "similarity"), [(1.0000002, 1.0), (-1.0000002, -1.0), (0.5, 0.5)])
def test_a_similarity_is_a_cosine(score: float, similarity: float) -> None:
    """Rounding leaves some a hair outside of what it can be."""
    gathering = Gathering([SimpleNamespace(id=1, score=score)], people=None)
    faces: dict[int, StoredFace] = {number: face(number) for number in gathering.wanted()}
    gathering.add(faces)
    assert [each.similarity for each in gathering.nearest().neighbours] == [similarity]
    assert gathering.nearest().faces == faces
