"""Embeddings of people that nobody is: of any number, near one another as those of real photos are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PHOTOS_A_PERSON = 4
DIMENSION = 512
SPECTRUM = 18.0
"""Variance falls by e every so many dimensions. The cosine of two strangers then spreads by sqrt(1 / (2 · 18)) = 0.17,
as vggface2's does on LFW, where the nearest of 240 strangers is at 0.47; in 512 equal dimensions it would be 0.04."""
NOISE = 0.33
"""Variance within a person over that between people: two photos of one have a cosine of about 1 / 1.33 = 0.75."""
NEAR, FAR = 0.9, 0.6
"""Cosines between which a real embedding is moved to become another one's: as two photos of a person have them."""
AT_ONCE = 40_000
"""Photos; a million would take several times the memory of their embeddings."""

Vectors = NDArray[np.float32]


def people_of(
    size: int, random: np.random.Generator, probes: int, strangers: float, real: Path | None = None
) -> tuple[Vectors, Vectors]:
    """Unit vectors of `size` photos, PHOTOS_A_PERSON of each person, and those of the probes; shapes (…, 512).

    That share of the probes shows `strangers`. People are drawn from a made-up distribution, or each is a face of a
    file `real` (.npy, one embedding a row) moved in the direction in which two others differ.
    """
    draw, photo = _moved(real, random) if real else _drawn(random)
    photos = np.empty((size, DIMENSION), np.float32)
    known: list[Vectors] = []
    count = round(probes * (1 - strangers))
    for start in range(0, size, AT_ONCE):
        end = min(start + AT_ONCE, size)
        people = draw(-(-(end - start) // PHOTOS_A_PERSON))
        photos[start:end] = photo(np.repeat(people, PHOTOS_A_PERSON, axis=0)[: end - start])
        known.append(people[random.integers(0, len(people), count)])
    asked = random.choice(np.concatenate(known), count, replace=False)
    return photos, photo(np.concatenate([asked, draw(probes - count)]))


def nearest(vectors: Vectors, probes: Vectors, limit: int) -> list[set[int]]:
    """The rows of the `limit` nearest vectors of each probe, by comparing all."""
    best = np.full((len(probes), limit), -2, np.float32)
    rows = np.zeros((len(probes), limit), np.int64)
    for start in range(0, len(vectors), AT_ONCE):
        block = vectors[start : start + AT_ONCE]
        likeness = np.concatenate([best, probes @ block.T], axis=1)
        numbers = np.concatenate([rows, np.tile(np.arange(start, start + len(block)), (len(probes), 1))], axis=1)
        order = np.argpartition(likeness, -limit, axis=1)[:, -limit:]
        best, rows = np.take_along_axis(likeness, order, 1), np.take_along_axis(numbers, order, 1)
    return [set(row) for row in rows.tolist()]


_Draw = Callable[[int], Vectors]
_Photo = Callable[[Vectors], Vectors]


def _drawn(random: np.random.Generator) -> tuple[_Draw, _Photo]:
    spread = np.exp(np.arange(DIMENSION) / (-2 * SPECTRUM)).astype(np.float32)

    def draw(count: int) -> Vectors:
        people: Vectors = random.standard_normal((count, DIMENSION), np.float32) * spread
        return people

    return draw, lambda people: _unit(people + draw(len(people)) * np.float32(NOISE**0.5))


def _moved(real: Path, random: np.random.Generator) -> tuple[_Draw, _Photo]:
    faces = _unit(np.load(real).astype(np.float32))

    def move(people: Vectors) -> Vectors:
        one, other = random.integers(0, len(faces), (2, len(people)))
        towards: Vectors = faces[one] - faces[(other + (one == other)) % len(faces)]
        aside = _unit(towards - np.sum(towards * people, axis=1, keepdims=True) * people)
        cosine = random.uniform(FAR, NEAR, (len(people), 1)).astype(np.float32)
        return _unit(cosine * people + np.sqrt(1 - cosine**2).astype(np.float32) * aside)

    return lambda count: move(faces[random.integers(0, len(faces), count)]), move


def _unit(vectors: NDArray[np.floating[Any]]) -> Vectors:
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
