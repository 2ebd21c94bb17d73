"""What a precision of FaceNet costs in accuracy and gains in time: the same crops through each of them."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.commands.markdown import table
from service.vision.embedder import Crops, Embedder

LEAST_PEOPLE = 20
"""With two photos or more; verification of fewer says nothing."""
BATCHES = (1, 8, 32)

_MOST_PHOTOS = 4
"""Of one person that are compared with each other, so that nobody outweighs the rest."""
_ROUNDS = 15
_SEED = 20180


@dataclass(frozen=True, slots=True)
class Pairs:
    """Similarities of pairs of photos, and whether they show the same person; both of shape (pairs,)."""

    similarities: NDArray[np.float64]
    same: NDArray[np.bool_]

    def accuracy(self, threshold: float) -> float:
        """Share of pairs told right when those of at least `threshold` are called the same person."""
        return float(((self.similarities >= threshold) == self.same).mean())

    def best_threshold(self) -> float:
        """The threshold of highest accuracy; the middle one where several are as good."""
        values = np.unique(self.similarities)
        candidates = np.concatenate([[-1.0], (values[1:] + values[:-1]) / 2, [1.0]])
        accuracies = np.array([self.accuracy(threshold) for threshold in candidates])
        best = np.flatnonzero(accuracies == accuracies.max())
        return float(candidates[best[len(best) // 2]])


@dataclass(frozen=True, slots=True)
class Couples:
    """Which crops are compared: indices `a` and `b`, and whether they show the `same` person; each (pairs,)."""

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    same: NDArray[np.bool_]

    def compare(self, probes: NDArray[np.float32], gallery: NDArray[np.float32]) -> Pairs:
        """Similarities of `probes` at `a` with `gallery` at `b`, both (n, 512)."""
        return Pairs((probes[self.a] * gallery[self.b]).sum(axis=1, dtype=np.float64), self.same)


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of two embeddings (n, 512) of each crop: (n,)."""
    return np.asarray((one * other).sum(axis=1, dtype=np.float64))


def couples(people: Sequence[str | None]) -> Couples | None:
    """As many pairs of two people as there are of the same; None where too few people have two crops.

    `people` says who a crop shows, None for nobody knows who.
    """
    crops_of: dict[str, list[int]] = {}
    for index, person in enumerate(people):
        if person is not None and len(crops_of.setdefault(person, [])) < _MOST_PHOTOS:
            crops_of[person].append(index)
    same = [pair for crops in crops_of.values() for pair in itertools.combinations(crops, 2)]
    if sum(len(crops) > 1 for crops in crops_of.values()) < LEAST_PEOPLE:
        return None
    draw = random.Random(_SEED)  # noqa: S311 - the same pairs each time
    names = list(crops_of)
    different = [[draw.choice(crops_of[name]) for name in draw.sample(names, 2)] for _ in same]
    pairs = np.array([*same, *different])
    return Couples(pairs[:, 0], pairs[:, 1], np.arange(len(pairs)) < len(same))


def accuracy_table(embeddings: Mapping[str, NDArray[np.float32]], people: Sequence[str | None]) -> str:
    """Each precision's cosines to the first, and how well it tells people apart; `embeddings` are (n, 512).

    The last row has the first precision's embeddings in the gallery and the last one's as probes: what an existing
    gallery meets after a change of precision.
    """
    (base, *_, changed) = embeddings
    pairs = couples(people)
    rows = []
    for name, vectors in embeddings.items():
        alike = cosines(vectors, embeddings[base])
        measures = (np.median(alike), np.percentile(alike, 1), alike.min())
        row = [name, *(f"{each:.4f}" for each in measures)]
        rows.append(row + (_verification(pairs.compare(vectors, vectors)) if pairs else []))
    header = [f"{len(people)} faces", f"cosine to {base}, median", "1st percentile", "minimum"]
    if pairs:
        mixed = _verification(pairs.compare(embeddings[changed], embeddings[base]))
        rows.append([f"{changed} probes, {base} gallery", "–", "–", "–", *mixed])
        header += [f"accuracy, {len(pairs.same)} pairs", "best threshold"]
    return table(header, rows)


def speed_table(embedders: Mapping[str, Embedder], crops: Crops) -> str:
    """Milliseconds a face, median, and in brackets how many times faster than the first; measured in turns."""
    names = list(embedders)
    cells: dict[str, list[str]] = {name: [] for name in names}
    for batch in BATCHES:
        part = np.resize(crops, (batch, *crops.shape[1:]))
        times = np.array([_turn(embedders, part) for _ in range(_ROUNDS)]) / batch  # (rounds, precisions)
        ratios = np.median(times[:, :1] / times, axis=0)
        for name, milliseconds, ratio in zip(names, np.median(times, axis=0), ratios, strict=True):
            cells[name].append(f"{milliseconds:.1f} ({ratio:.1f}×)")
    return table(["ms a face", *(f"batch {batch}" for batch in BATCHES)], [[name, *cells[name]] for name in names])


def _verification(pairs: Pairs) -> list[str]:
    threshold = pairs.best_threshold()
    return [f"{pairs.accuracy(threshold):.2%}", f"{threshold:.3f}"]


def _turn(embedders: Mapping[str, Embedder], crops: Crops) -> list[float]:
    """Milliseconds of each embedder on the crops; the first call of all compiles, and isn't the one that counts."""
    times = []
    for embedder in embedders.values():
        embedder.embed(crops)
        started = time.perf_counter()
        embedder.embed(crops)
        times.append((time.perf_counter() - started) * 1000)
    return times
