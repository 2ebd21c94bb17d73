"""Damages bytes as transfers, other programs and attackers do, the same way for the same random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable

MOST_MUTATIONS = 6
_LARGEST_RUN = 64
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Where lengths and counts overflow, in whatever width they are kept."""
_TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b'"',
    b"%",
    b"%00",
    b"%FF",
    b"--",
    b"&",
    b"=",
    b"#",
    b"/",
)


def mutated(content: bytes, chance: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """The bytes with one to MOST_MUTATIONS damages; `others` are what pieces may be taken from."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, MOST_MUTATIONS)):
        if not damaged:
            break
        chance.choice(_KINDS)(damaged, chance, others)
    return bytes(damaged)


def _place(damaged: bytearray, chance: random.Random) -> int:
    """Any place, every other time near the beginning: heads, tables and lengths stand there."""
    return chance.randrange(len(damaged) if chance.random() < 0.5 else min(len(damaged), 512))  # noqa: PLR2004 - even chances


def _flip_a_bit(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    damaged[_place(damaged, chance)] ^= 1 << chance.randrange(8)


def _set_a_byte(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    damaged[_place(damaged, chance)] = chance.randrange(256)


def _set_a_number(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    """A whole number at its limits, in 1, 2 or 4 bytes of either order."""
    width, place = chance.choice((1, 2, 4)), _place(damaged, chance)
    number = chance.choice(_NUMBERS) & (256**width - 1)
    damaged[place : place + width] = number.to_bytes(width, "big" if chance.randrange(2) else "little")


def _cut_the_end(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    del damaged[_place(damaged, chance) :]


def _leave_out(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    place = _place(damaged, chance)
    del damaged[place : place + chance.randint(1, _LARGEST_RUN)]


def _repeat(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    place = _place(damaged, chance)
    run = damaged[place : place + chance.randint(1, _LARGEST_RUN)]
    damaged[place:place] = run * chance.choice((1, 2, 50))


def _put_in_noise(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    place = _place(damaged, chance)
    damaged[place:place] = chance.randbytes(chance.randint(1, _LARGEST_RUN))


def _put_in_a_token(damaged: bytearray, chance: random.Random, _: tuple[bytes, ...]) -> None:
    place = _place(damaged, chance)
    damaged[place : place + chance.randrange(2)] = chance.choice(_TOKENS) * chance.choice((1, 1, 1, 3, 100))


def _splice(damaged: bytearray, chance: random.Random, others: tuple[bytes, ...]) -> None:
    """Go on with another one's bytes from some place on."""
    other = chance.choice(others) if others else bytes(damaged)
    place = _place(damaged, chance)
    damaged[place:] = other[min(place, len(other)) :] if chance.randrange(2) else other[chance.randrange(len(other)) :]


_KINDS: tuple[Callable[[bytearray, random.Random, tuple[bytes, ...]], None], ...] = (
    *(_flip_a_bit, _set_a_byte, _set_a_number, _cut_the_end, _leave_out),
    *(_repeat, _put_in_noise, _put_in_a_token, _splice),
)
