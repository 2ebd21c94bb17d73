"""`make evaluate`: how well this service tells people apart, on photos of yours: pairs (1:1) or a gallery (1:N).

make evaluate PAIRS=pairs.csv [TRAIN=other.csv] [ROOT=folder] [REFERENCE=yes]
make evaluate GALLERY=folder|index.csv [GROUPS="file …"] [SIZES=20,100,400] [DRAWS=5] [SCORE=both]

Both take JSON=FILE and PLOTS=FOLDER. FACE_MODEL, FACE_CHOICE and so on are those of the service. docs/accuracy.md
explains the files, the terms and the results.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from scripts.bench.environments import BENCH, CannotInstallError
from scripts.bench.evaluation import gallery_report, pairs_run, plots
from scripts.bench.evaluation.draws import draws
from scripts.bench.evaluation.gallery_run import Setup, search_galleries
from scripts.bench.evaluation.observing import Observed, observe_photos, refusals
from scripts.bench.evaluation.searching import SCORES
from scripts.bench.evaluation.sources import UnusableSource, read_groups, read_pairs, read_people
from service.errors import FaceServiceError, InvalidSettings
from service.gallery.thresholds import ThresholdFor, threshold_for
from service.models import selection
from service.models.selection import ModelFiles
from service.settings import Score, Settings

SIZES = (20, 100, 400)
DRAWS = 5
_LISTED = 5
"""Refused photos that are named for each reason; JSON has them all."""


def main(environ: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Evaluate and report; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.pairs is None) == (options.gallery is None):
        parser.error("Name PAIRS=FILE or GALLERY=FOLDER, and not both; docs/accuracy.md says what each is.")
    if options.gallery and (options.train or options.reference):
        parser.error("TRAIN and REFERENCE go with PAIRS=FILE.")
    if options.pairs and options.groups:
        parser.error("GROUPS goes with GALLERY=FOLDER.")
    try:
        settings = Settings.from_env(environ)
        files = selection.prepare(settings, kept=None)
        print(f"# {files.contract.model}, weights {files.contract.digest[:16]}, FACE_CHOICE={settings.choice}\n")
        evaluate = _evaluate_pairs if options.pairs else _evaluate_gallery
        written = asyncio.run(evaluate(options, settings, files))
    except (UnusableSource, FaceServiceError, CannotInstallError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        model = dataclasses.asdict(files.contract)
        options.json.write_text(json.dumps({"model": model} | written, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="a CSV (path a, path b, same) or LFW's pairs.txt")
    parser.add_argument("--train", type=Path, metavar="FILE", help="pairs that give the threshold to apply to --pairs")
    parser.add_argument("--reference", action="store_true", help="evaluate facenet-pytorch's own pipeline on them too")
    parser.add_argument("--gallery", type=Path, help="a folder for each person, or a CSV (path, identity, role)")
    parser.add_argument("--groups", type=Path, nargs="+", default=[], metavar="FILE", help="an identity on each line")
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="people of a gallery, such as 20,100,400")
    parser.add_argument("--draws", type=_at_least_one, default=DRAWS, help="how often members are drawn (%(default)s)")
    parser.add_argument("--per-member", type=_at_least_one, default=1, help="photos enrolled of each (%(default)s)")
    parser.add_argument("--score", choices=[*SCORES, "both", "all"], default="both", help="compared (%(default)s)")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="what paths are relative to (the table's folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    parser.add_argument("--plots", type=Path, default=BENCH / "plots", metavar="FOLDER", help="%(default)s")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_at_least_one(part) for part in text.split(","))


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on.")
    return int(text)


async def _evaluate_pairs(options: argparse.Namespace, settings: Settings, files: ModelFiles) -> dict[str, Any]:
    pairs = read_pairs(options.pairs, options.root)
    training = read_pairs(options.train, options.root) if options.train else []
    paths = list(dict.fromkeys(path for pair in [*training, *pairs] for path in (pair.a, pair.b)))
    observed = await observe_photos(settings, files, paths)
    print(_refused(observed))
    embeddings = {pairs_run.OURS: pairs_run.our_embeddings(observed)}
    if options.reference:
        embeddings |= pairs_run.reference_embeddings(paths, files)
    verified = [pairs_run.verify(name, pairs, training, each) for name, each in embeddings.items()]
    print(pairs_run.pairs_tables(verified))
    _say_plots(plots.plot_pairs(verified, options.plots, files.contract.model))
    return {"refused": _refused_json(observed), "pairs": pairs_run.pairs_json(verified)}


async def _evaluate_gallery(options: argparse.Namespace, settings: Settings, files: ModelFiles) -> dict[str, Any]:
    portraits = read_people(options.gallery, options.root)
    group_of = read_groups(options.groups, [each.identity for each in portraits])
    groups = sorted(set(group_of.values()))
    observed = await observe_photos(settings, files, [each.path for each in portraits])
    print(_refused(observed))
    scores = {"both": get_args(Score), "all": SCORES}.get(options.score, (options.score,))
    setup = Setup(sizes=options.sizes, per_member=options.per_member, scores=scores)
    drawn = list(draws(portraits, group_of, options.draws))
    outcomes = await search_galleries(drawn, setup, observed, group_of, files.contract)
    automatic = _automatic(settings, files)
    print(gallery_report.size_table(outcomes), end="\n\n")
    print(gallery_report.threshold_table(outcomes), end="\n\n")
    if len(groups) > 1:
        print(gallery_report.group_table(outcomes, groups, automatic), end="\n\n")
    print(gallery_report.score_table(outcomes, groups), end="\n\n")
    print(gallery_report.TERMS)
    _say_plots(plots.plot_galleries(outcomes, groups, options.plots, files.contract.model))
    galleries = gallery_report.gallery_json(outcomes, groups, automatic)
    return {"refused": _refused_json(observed), "groups": groups, "galleries": galleries}


def _automatic(settings: Settings, files: ModelFiles) -> ThresholdFor | None:
    """What FACE_THRESHOLD=auto would choose; None for models that it doesn't know."""
    try:
        return threshold_for(dataclasses.replace(settings, threshold="auto", score="cohort"), files.contract.model)
    except InvalidSettings:
        return None


def _refused(observed: Mapping[Path, Observed]) -> str:
    lines = [f"{len(observed):,} photos."]
    for reason, paths in refusals(observed).items():
        more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
        lines.append(f"{len(paths)} refused, {reason}: {', '.join(map(str, paths[:_LISTED]))}{more}")
    return "\n".join([*lines, ""])


def _refused_json(observed: Mapping[Path, Observed]) -> dict[str, list[str]]:
    return {reason: [str(path) for path in paths] for reason, paths in refusals(observed).items()}


def _say_plots(written: Sequence[Path]) -> None:
    if written:
        print(f"\nPlots: {', '.join(map(str, written))}")


if __name__ == "__main__":
    sys.exit(main(os.environ))
