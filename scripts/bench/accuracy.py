"""How well embeddings tell people apart: pairs (1:1), and probes against a gallery (1:N)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.bench.pipelines import Measured
from service.commands.precision import Pairs

Vector = NDArray[np.float32]
Embeddings = Mapping[str, Vector | None]
"""A photo's path as the tables write it → the embedding of its face, None where no face was found."""

NO_FACE = -1.0
"""The similarity of a pair with a photo without a face: such a pair is called different."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The nearest of the gallery for probes of people in it and for strangers.

    `right` and `known` have shape (known probes,): whether the nearest is the same person, and its similarity;
    `strangers` has shape (strangers,): the similarity of the nearest.
    """

    right: NDArray[np.bool_]
    known: NDArray[np.float64]
    strangers: NDArray[np.float64]

    def rank_one(self) -> float:
        """Share of known probes whose nearest is the same person."""
        return float(self.right.mean())

    def found(self, threshold: float) -> float:
        """Share of known probes whose nearest is the same person and similar enough."""
        return float((self.right & (self.known >= threshold)).mean())

    def false_accepts(self, threshold: float) -> float:
        """Share of strangers who are taken for somebody in the gallery."""
        return float((self.strangers >= threshold).mean())


def chosen(answer: Measured | None, choice: str) -> Vector | None:
    """The embedding of the one face that a photo is about; None without a face.

    `center` is facenet-pytorch's `center_weighted_size` (models/mtcnn.py, select_boxes): the area less twice the
    squared distance of the box's centre from the photo's; LFW's photos have their person in the middle. `largest` is
    what a service does that knows nothing about its photos.
    """
    if answer is None or not len(answer.boxes):
        return None
    weights = (answer.boxes[:, 2:] - answer.boxes[:, :2]).prod(axis=1)
    if choice == "center":
        offsets = (answer.boxes[:, 2:] + answer.boxes[:, :2]) / 2 - np.array(answer.size) / 2
        weights = weights - 2 * (offsets**2).sum(axis=1)
    best: Vector = answer.embeddings[weights.argmax()]
    return best


def pairs(rows: Sequence[Mapping[str, str]], embeddings: Embeddings) -> Pairs:
    """Similarities of the pairs of a table with the columns a, b and same."""
    similarities = []
    for row in rows:
        a, b = embeddings[row["a"]], embeddings[row["b"]]
        similarities.append(NO_FACE if a is None or b is None else float(a @ b))
    return Pairs(np.array(similarities), np.array([row["same"] == "1" for row in rows]))


def ranking(rows: Sequence[Mapping[str, str]], embeddings: Embeddings) -> Ranking:
    """Probes and strangers of a table with the columns path, identity and role against its gallery."""
    gallery = [row for row in rows if row["role"] == "gallery" and embeddings[row["path"]] is not None]
    vectors = np.stack([vector for row in gallery if (vector := embeddings[row["path"]]) is not None])

    def nearest(probe: Mapping[str, str]) -> tuple[bool, float]:
        vector = embeddings[probe["path"]]
        if vector is None:
            return False, NO_FACE
        similarities = vectors @ vector
        best = int(similarities.argmax())
        return gallery[best]["identity"] == probe["identity"], float(similarities[best])

    known = [nearest(row) for row in rows if row["role"] == "probe"]
    strangers = [nearest(row)[1] for row in rows if row["role"] == "unknown"]
    return Ranking(
        right=np.array([right for right, _ in known]),
        known=np.array([similarity for _, similarity in known]),
        strangers=np.array(strangers),
    )
