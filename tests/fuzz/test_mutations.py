"""Damaging bytes: repeatable, and never what they were for long."""

from __future__ import annotations

import random

from scripts.fuzz.mutations import mutated

SOUND = bytes(range(256)) * 8


def test_the_same_chance_damages_the_same_way() -> None:
    assert mutated(SOUND, random.Random(1)) == mutated(SOUND, random.Random(1))


def test_other_chances_damage_in_other_ways() -> None:
    assert len({mutated(SOUND, random.Random(seed)) for seed in range(200)}) > 190


def test_nothing_stays_nothing() -> None:
    assert mutated(b"", random.Random(1)) == b""


def test_pieces_of_others_come_in() -> None:
    other = b"\xee" * 4096
    assert any(b"\xee" * 100 in mutated(SOUND, random.Random(seed), (other,)) for seed in range(200))
