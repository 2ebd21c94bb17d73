"""How remarks are searched and ordered; the stores' contract has the people themselves."""

from __future__ import annotations

from bisect import bisect_left
from itertools import repeat

import pytest

from service.stores.people import PeopleCount, name_of, person_key


@pytest.mark.parametrize(
    ("remark", "name"),
    [
        ("Zoë SMITH", "zoë smith"),
        ("Straße", "strasse"),
        ("Ⅳ", "iv"),
        ("ＡＢＣ", "abc"),
        ("№ 5", "no 5"),
        ("𝐀nn", "ann"),
        ("ᴬ", "a"),
    ],
)
def test_a_name_has_one_case(remark: str, name: str) -> None:
    """Also where a compatibility form stands for capitals."""
    assert name_of(remark) == name_of(name_of(remark)) == name


def counted(persons: list[int]) -> tuple[PeopleCount, int]:
    """What is found of people whose faces have these numbers, and in how many reads."""
    persons = sorted(persons)
    count, reads = PeopleCount(), 0
    while (start := count.next_from()) is not None:
        place = bisect_left(persons, start)
        count.add(persons[place : place + count.READ_AT_ONCE])
        reads += 1
    return count, reads


@pytest.mark.parametrize("people", [0, 1, 999, 1000, 1001, 4000])
def test_few_people_are_counted(people: int) -> None:
    """One by one, whether a read ends with the last of them or not."""
    count, _ = counted([person_key(f"person {n}", gallery="default")[1] for n in range(people)])
    assert (count.people, count.is_estimated) == (people, False)


def test_a_person_of_many_faces_is_one() -> None:
    one, other = (person_key(name, gallery="default")[1] for name in ("a", "b"))
    count, _ = counted([*repeat(one, 5000), other])
    assert (count.people, count.is_estimated) == (2, False)


@pytest.mark.slow
@pytest.mark.parametrize(("people", "faces"), [(100_000, 1), (30_000, 4), (3000, 100)])
def test_many_people_are_estimated(people: int, faces: int) -> None:
    """From a number of reads that doesn't grow with them."""
    count, reads = counted(
        [person_key(f"person {n}", gallery="default")[1] for n in range(people) for _ in range(faces)]
    )
    assert count.is_estimated
    assert abs(count.people / people - 1) < (0.05 if faces < 100 else 0.25)
    assert reads <= 21
