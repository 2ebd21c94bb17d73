"""Measures the table service.gallery.thresholds.SCORES: from which score on a stranger is taken for somebody.

Run from the project's folder, for each model: `FACE_MODEL=casia-webface python -m scripts.bench.thresholds`. Galleries
of each size of FACES are drawn of each group of people alone, and strangers of the same group are searched for. A score
is the least at which the mean FPIR of the groups is at most that of FPIRS: so none of them counts less because there
are fewer of its photos.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from indexer.progress import Progress
from scripts.bench.evaluation.draws import SEARCHES, Draw, draws
from scripts.bench.evaluation.gallery_run import best_score, enroll, search_all, temporary_store
from scripts.bench.evaluation.observing import Observed, observe_photos
from scripts.bench.evaluation.rates import Scores, threshold_at
from scripts.bench.evaluation.searching import search_with
from scripts.bench.evaluation.sources import UnusableSource, read_groups, read_people
from scripts.bench.photos import FACES as FACES_FOLDER
from service.errors import FaceServiceError
from service.gallery.thresholds import FACES, FPIRS
from service.models import selection
from service.settings import Settings
from service.values import ModelContract

DRAWS = 20
"""Galleries of a few people differ a great deal by chance."""

LFW_DEV = FACES_FOLDER / "lfw_dev"


def main(environ: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Print the model's rows; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gallery", type=Path, default=LFW_DEV / "images", help="a folder for each person")
    parser.add_argument("--groups", type=Path, nargs="+", default=[LFW_DEV / "east_asian.txt"], help="groups' people")
    parser.add_argument("--draws", type=int, default=DRAWS, help="galleries of each size and group (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        rows = asyncio.run(measure(Settings.from_env(environ), options.gallery, options.groups, options.draws))
    except (UnusableSource, FaceServiceError) as error:
        print(error, file=sys.stderr)
        return 1
    for row in rows:
        print(f"({', '.join('None' if score is None else f'{score:.3f}' for score in row)}),")
    return 0


async def measure(settings: Settings, folder: Path, groups: Sequence[Path], number: int) -> list[list[float | None]]:
    """Scores for each of FACES and, in it, each of FPIRS; None where the strangers are too few to tell.

    Raises UnusableSource and what the service raises without its model.
    """
    portraits = read_people(folder, None)
    group_of = read_groups(groups, [each.identity for each in portraits])
    files = selection.prepare(settings, kept=None)
    observed = await observe_photos(settings, files, [each.path for each in portraits])
    by_group: dict[str, list[list[Scores]]] = {group: [[] for _ in FACES] for group in sorted(set(group_of.values()))}
    with Progress(number * len(by_group), "galleries") as progress:
        for draw in draws(portraits, group_of, number):
            for group, by_size in by_group.items():
                for scores, found in zip(
                    by_size, await stranger_scores(draw, group, observed, files.contract), strict=True
                ):
                    scores.append(found)
                progress.advance()
    pooled = [[np.concatenate(by_size[row]) for by_size in by_group.values()] for row in range(len(FACES))]
    return [[score_at(fpir, groups_scores) for fpir in FPIRS] for groups_scores in pooled]


async def stranger_scores(
    draw: Draw, group: str, observed: Mapping[Path, Observed], contract: ModelContract
) -> list[Scores]:
    """Scores of a group's strangers in a gallery of the group that grows, for each of FACES."""
    scores = []
    async with temporary_store(contract) as store:
        search = search_with("cohort", store, [])
        for size in FACES:
            await enroll(store, draw.gallery(group, size, per_member=1).members, observed)
            answers = await search_all(search, draw.strangers[group][:SEARCHES], observed)
            scores.append(np.array([best_score(each) for each in answers], np.float64))
    return scores


def score_at(fpir: float, groups: Sequence[Scores]) -> float | None:
    """The least score at which the mean of the groups' FPIR is at most `fpir`; each (strangers' searches,)."""
    total = sum(map(len, groups))
    weights = np.concatenate([np.full(len(scores), total / len(groups) / len(scores)) for scores in groups])
    return threshold_at(fpir, np.concatenate(groups), weights)


if __name__ == "__main__":
    sys.exit(main(os.environ))
