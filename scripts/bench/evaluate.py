"""How well this service tells people apart, on LFW's development pairs and on the small gallery of lfw_mini; with
`--reference` also facenet-pytorch's own pipeline with the same weights, and the difference.

Run from the project's folder: `python -m scripts.bench.evaluate`. The threshold is chosen on pairs_train.csv and
judged on pairs_test.csv. The reference's answers take minutes and are kept under .bench/.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from scripts.bench.accuracy import Embeddings, chosen, pairs, ranking
from scripts.bench.answers import reference_answers
from scripts.bench.ours import Ours, ours_started
from scripts.bench.photos import FACES, rows_of
from scripts.bench.pipelines import Measured
from service.commands.markdown import table

CHOICES = ["center", "largest"]
"""See scripts.bench.accuracy.chosen."""
THRESHOLDS = (0.4, 0.5, 0.6, 0.7)
Answers = Callable[[Sequence[Path]], Sequence[Measured | None]]
Rows = list[dict[str, str]]
REFERENCE = "facenet-pytorch"


def main(environ: Mapping[str, str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, default=FACES, help="folder with lfw_mini and lfw_dev (%(default)s)")
    parser.add_argument(
        "--choice", nargs="+", choices=CHOICES, default=CHOICES, help="which face of a photo counts (default: both)"
    )
    parser.add_argument("--reference", action="store_true", help="evaluate facenet-pytorch too")
    options = parser.parse_args()
    if not options.faces.is_dir():
        parser.error(f"{options.faces} is missing; name a folder with lfw_mini and lfw_dev with --faces.")

    with ours_started(environ) as ours:
        weights, contract = ours[0].weights, ours[0].contract
        answers = {each.name: _asked_once(each) for each in ours}
        if options.reference:
            answers[REFERENCE] = lambda paths: reference_answers(paths, weights, contract)
        for choice in options.choice:
            verification = evaluate_pairs(options.faces / "lfw_dev", answers, choice)
            identification = evaluate_gallery(options.faces / "lfw_mini", answers, choice)
            print(f"## The {choice} face of each photo", verification, identification, sep="\n\n", end="\n\n")


def evaluate_pairs(folder: Path, answers: dict[str, Answers], choice: str) -> str:
    """Accuracy on pairs_test with the threshold that pairs_train gives, as a table with one row a pipeline."""
    train, test = (rows_of(folder / f"pairs_{part}.csv") for part in ("train", "test"))
    names = _photos_of(train + test)
    rows, accuracies = [], []
    for name, ask in answers.items():
        embeddings = _embeddings(folder, names, ask, choice)
        learned = pairs(train, embeddings)
        threshold = learned.best_threshold()
        accuracies.append(pairs(test, embeddings).accuracy(threshold))
        faceless = sum(vector is None for vector in embeddings.values())
        rows.append([name, f"{threshold:.3f}", *_percent(learned.accuracy(threshold), accuracies[-1]), str(faceless)])
    header = [f"pairs of {len(names)} photos", "threshold", "accuracy, train", "accuracy, test", "faceless photos"]
    text = table(header, rows)
    if REFERENCE in answers:
        *ours, theirs = accuracies
        points = (f"{(each - theirs) * 100:+.2f} ({name})" for name, each in zip(answers, ours, strict=False))
        text += f"\n\nDifference on pairs_test, in percentage points: {', '.join(points)}."
    return text


def evaluate_gallery(folder: Path, answers: dict[str, Answers], choice: str) -> str:
    """Rank-1 of the known probes, and at each threshold how many are found and how many strangers accepted."""
    index, verification = rows_of(folder / "index.csv"), rows_of(folder / "pairs.csv")
    rows = []
    for name, ask in answers.items():
        embeddings = _embeddings(folder, [row["path"] for row in index], ask, choice)
        ranked, checked = ranking(index, embeddings), pairs(verification, embeddings)
        by_threshold = (
            f"{ranked.found(threshold):.1%} / {ranked.false_accepts(threshold):.1%}" for threshold in THRESHOLDS
        )
        best = checked.accuracy(checked.best_threshold())
        rows.append([name, *_percent(best, ranked.rank_one()), *by_threshold])
    header = ["lfw_mini", "best accuracy, pairs", "rank-1", *(f"found / strangers at {each}" for each in THRESHOLDS)]
    return table(header, rows)


def _asked_once(ours: Ours) -> Answers:
    """What measures each photo once, for every choice of its faces."""
    measure = cache(ours.measure)
    return lambda paths: [measure(path) for path in paths]


def _photos_of(rows: Rows) -> list[str]:
    return sorted({row[side] for row in rows for side in ("a", "b")})


def _embeddings(folder: Path, names: Sequence[str], ask: Answers, choice: str) -> Embeddings:
    measured = ask([folder / name for name in names])
    return {name: chosen(answer, choice) for name, answer in zip(names, measured, strict=True)}


def _percent(*shares: float) -> list[str]:
    return [f"{share:.2%}" for share in shares]


if __name__ == "__main__":
    main(os.environ)
