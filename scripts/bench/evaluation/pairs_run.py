"""1:1 comparison of pairs: their similarities by this service and by facenet-pytorch, and the tables of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.bench.answers import reference_answers
from scripts.bench.evaluation.observing import Observed
from scripts.bench.evaluation.sources import Pair, UnusableSource
from scripts.bench.evaluation.verification import (
    FOLDS,
    Comparisons,
    FoldedAccuracy,
    TrueAccepts,
    accuracy_interval,
    drawn_folds,
    folded_accuracy,
    people_of,
    roc,
    true_accepts,
)
from scripts.bench.pipelines import Measured
from service.commands.markdown import table
from service.models.selection import ModelFiles
from service.values import Embedding

FARS = (0.1, 0.01, 0.001)
OURS = "this service"
REFERENCE = {
    "largest": "facenet-pytorch, largest face",
    "center": "facenet-pytorch, central face",
}
"""The two ways in which its MTCNN chooses: `select_largest`, its default, and `center_weighted_size`."""

Embeddings = Mapping[Path, Embedding | None]
"""None where a photo has no face."""

TERMS = """\
Accuracy: share of pairs told right, each fold of ten with the threshold of the other nine; ± standard error.
FAR, false accept rate: share of the pairs of two people at or above the threshold (also FMR, false match rate).
TAR, true accept rate: share of the pairs of one person at or above it; in brackets the 95 % interval by bootstrap over
people, since pairs that share a person are not independent, and with the threshold chosen anew, since it is estimated.
A pair with a photo without a face is an error, whoever it shows: told wrong, and never accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What one pipeline makes of the pairs. `trained` is the threshold that other pairs gave, if there were any."""

    name: str
    comparisons: Comparisons
    folded: FoldedAccuracy
    rates: tuple[TrueAccepts | None, ...]
    """At each of FARS; None where the pairs are too few."""
    trained: float | None
    trained_interval: tuple[float, float]

    @property
    def trained_accuracy(self) -> float:
        """With the threshold of the other pairs."""
        return float("nan") if self.trained is None else self.comparisons.accuracy(self.trained)


def verify(name: str, pairs: Sequence[Pair], training: Sequence[Pair], embeddings: Embeddings) -> Verified:
    """`training` gives a threshold to apply to the pairs; it may be empty. Raises UnusableSource like folds_of."""
    comparisons = compare(pairs, embeddings)
    people = people_of([(pair.a, pair.b) for pair in pairs], comparisons.same)
    trained = compare(training, embeddings).best_threshold() if training else None
    return Verified(
        name=name,
        comparisons=comparisons,
        folded=folded_accuracy(comparisons, folds_of(pairs)),
        rates=tuple(true_accepts(comparisons, people, far) for far in FARS),
        trained=trained,
        trained_interval=(np.nan, np.nan) if trained is None else accuracy_interval(comparisons, people, trained),
    )


def compare(pairs: Sequence[Pair], embeddings: Embeddings) -> Comparisons:
    """The cosines of the pairs."""
    similarities = []
    for pair in pairs:
        a, b = embeddings[pair.a], embeddings[pair.b]
        similarities.append(-np.inf if a is None or b is None else float(a @ b))
    return Comparisons(np.array(similarities), np.array([pair.same for pair in pairs]))


def folds_of(pairs: Sequence[Pair]) -> NDArray[np.int64]:
    """LFW's sets where there are several, else folds by chance. Raises UnusableSource for fewer pairs than folds."""
    folds = {pair.fold for pair in pairs}
    if len(folds) > 1 and None not in folds:
        return np.array([pair.fold for pair in pairs], np.int64)
    same = np.array([pair.same for pair in pairs])
    if min(same.sum(), (~same).sum()) < FOLDS:
        raise UnusableSource(f"{FOLDS} pairs of one person and {FOLDS} of two are needed at least; add some.")
    return drawn_folds(same)


def our_embeddings(observed: Mapping[Path, Observed]) -> Embeddings:
    """Of the face that the service chooses."""
    return {
        path: None if each.candidate is None else each.candidate.faces[0].embedding for path, each in observed.items()
    }


def reference_embeddings(paths: Sequence[Path], files: ModelFiles) -> dict[str, Embeddings]:
    """By facenet-pytorch with the same weights: those of the two faces that it may choose.

    Raises CannotInstallError where answers are missing and it can't be installed.
    """
    answers = reference_answers(paths, files.weights, files.contract)
    choices: dict[str, Callable[[Measured], NDArray[np.float64]]] = {"largest": _areas, "center": _central_weights}
    return {
        REFERENCE[name]: {path: _chosen(answer, weights) for path, answer in zip(paths, answers, strict=True)}
        for name, weights in choices.items()
    }


def _chosen(answer: Measured | None, weights: Callable[[Measured], NDArray[np.float64]]) -> Embedding | None:
    if answer is None or not len(answer.boxes):
        return None
    best: Embedding = answer.embeddings[weights(answer).argmax()]
    return best


def _areas(answer: Measured) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (answer.boxes[:, 2:] - answer.boxes[:, :2]).prod(axis=1)
    return areas


def _central_weights(answer: Measured) -> NDArray[np.float64]:
    """The area less twice the squared distance of the centre from the photo's (models/mtcnn.py, select_boxes)."""
    offsets = (answer.boxes[:, 2:] + answer.boxes[:, :2]) / 2 - np.array(answer.size) / 2
    weights: NDArray[np.float64] = _areas(answer) - 2 * (offsets**2).sum(axis=1)
    return weights


def pairs_tables(verified: Sequence[Verified]) -> str:
    """Accuracy and true accept rates of each pipeline; the differences to the first, in points."""
    first = verified[0]
    header = [f"{len(first.comparisons.same):,} pairs", "accuracy, 10 folds", "threshold"]
    header += ["accuracy, threshold of TRAIN"] if first.trained is not None else []
    header += [*(f"TAR at FAR {far:g}" for far in FARS), "pairs without a face"]
    rows = []
    for each in verified:
        folded = f"{each.folded.mean:.2%} ± {each.folded.standard_error:.2%}"
        row = [each.name, folded, f"{each.folded.thresholds.mean():.3f}"]
        if each.trained is not None:
            low, high = each.trained_interval
            row.append(f"{each.trained_accuracy:.2%} ({low:.2%}–{high:.2%}) at {each.trained:.3f}")
        rows.append([*row, *map(_rate, each.rates), str(int(each.comparisons.faceless.sum()))])
    lines = [table(header, rows)]
    for other in verified[1:]:
        points = [f"{(first.folded.mean - other.folded.mean) * 100:+.2f} by folds"]
        if first.trained is not None:
            points.append(f"{(first.trained_accuracy - other.trained_accuracy) * 100:+.2f} with the threshold of TRAIN")
        lines.append(f"{first.name} less {other.name}, accuracy in percentage points: {', '.join(points)}.")
    return "\n".join([lines[0], "", *lines[1:], *([""] if lines[1:] else []), TERMS])


def _rate(rate: TrueAccepts | None) -> str:
    return "–" if rate is None else f"{rate.rate:.2%} ({rate.low:.2%}–{rate.high:.2%}) at {rate.threshold:.3f}"


def pairs_json(verified: Sequence[Verified]) -> list[dict[str, Any]]:
    """All of it, with the ROC."""
    written = []
    for each in verified:
        thresholds, far, tar = roc(each.comparisons)
        written.append(
            {
                "name": each.name,
                "pairs": len(each.comparisons.same),
                "pairs_without_a_face": int(each.comparisons.faceless.sum()),
                "folds": {"accuracies": each.folded.accuracies.tolist(), "thresholds": each.folded.thresholds.tolist()},
                "accuracy": each.folded.mean,
                "standard_error": each.folded.standard_error,
                "trained": None
                if each.trained is None
                else {
                    "threshold": each.trained,
                    "accuracy": each.trained_accuracy,
                    "interval": list(each.trained_interval),
                },
                "true_accepts": [
                    {"far": far, "rate": None}
                    if rate is None
                    else {"far": far, "rate": rate.rate, "interval": [rate.low, rate.high], "threshold": rate.threshold}
                    for far, rate in zip(FARS, each.rates, strict=True)
                ],
                "roc": {"thresholds": thresholds.tolist(), "far": far.tolist(), "tar": tar.tolist()},
            }
        )
    return written
