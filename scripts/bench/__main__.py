"""`make bench`: how fast this service turns photos into embeddings, against what users would pick instead, and how far
the answers agree.

Run from the project's folder: `python -m scripts.bench`. The references are installed under .bench/ on first use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.bench.agreement import Agreement, agreement
from scripts.bench.answers import reference_answers
from scripts.bench.embedding import batching_section, embedding_section
from scripts.bench.environments import FACE_RECOGNITION, FACENET_PYTORCH, TODAYS_TORCH, CannotInstallError, Environment
from scripts.bench.indexing import indexing_section
from scripts.bench.limits import limits_section
from scripts.bench.ours import Ours, ours_started
from scripts.bench.photos import FACES, photo_sets, photos_below
from scripts.bench.pipelines import Pipeline, Reference
from scripts.bench.profile import profile_section
from scripts.bench.report import agreement_section, heading, set_section
from scripts.bench.rest import rest_section
from scripts.bench.search import search_milliseconds
from scripts.bench.serving import serving_section
from scripts.bench.signing import signing_section
from scripts.bench.timing import time_in_blocks
from service.models.selection import ModelFiles
from service.settings import Settings

LFW_DEV_PHOTOS = 1000
_REFERENCES = {each.name: each for each in (FACENET_PYTORCH, TODAYS_TORCH, FACE_RECOGNITION)}


def main() -> None:
    options = _options()
    written: list[str] = []

    def say(section: str) -> None:
        print(f"{section}\n", flush=True)
        written.append(section)

    with ours_started(os.environ) as ours:
        _compare_speed(options, ours, say)
        if not options.no_agreement and FACENET_PYTORCH.name in options.against:
            _compare_answers(options.faces, ours, say)
        files = ours[0].files
    _look_inside(options, files, say)
    if not options.no_import:
        _import(options, say)
    if not options.no_gallery:
        say(_section_of("edge"))
        say(_section_of("galleries"))
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text("\n\n".join(written) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, default=FACES, help="folder with lfw_mini, lfw_dev, photos (%(default)s)")
    parser.add_argument("--sample", type=int, default=100, help="photos of lfw_mini to time; 0: all (%(default)s)")
    parser.add_argument("--sets", nargs="+", help="time these photo sets only: lfw_mini, photos, large")
    parser.add_argument("--against", nargs="*", choices=sorted(_REFERENCES), default=list(_REFERENCES))
    parser.add_argument("--no-agreement", action="store_true", help="time only, do not compare the answers")
    parser.add_argument("--no-import", action="store_true", help="leave out importing a folder of photos")
    parser.add_argument("--import-photos", type=int, metavar="N", help="import N of lfw_dev's 4,992 photos, not all")
    parser.add_argument("--no-gallery", action="store_true", help="leave out galleries of 10,000 and 100,000 faces")
    parser.add_argument("--write", type=Path, metavar="FILE", help="keep the report, such as docs/benchmarks.md")
    return parser.parse_args()


def _compare_speed(options: argparse.Namespace, ours: list[Ours], say: Callable[[str], None]) -> None:
    with contextlib.ExitStack() as running, tempfile.TemporaryDirectory() as temporary:
        references = [_REFERENCES[name] for name in options.against]
        pipelines: list[Pipeline] = [*ours]
        for environment in references:
            pipelines += running.enter_context(_started(environment, ours[0].weights))
        say(heading(pipelines))
        search = asyncio.run(search_milliseconds())
        for photos in photo_sets(options.faces, options.sample or None, Path(temporary)):
            if not options.sets or photos.name in options.sets:
                say(set_section(photos, time_in_blocks(pipelines, photos), search))


def _section_of(module: str) -> str:
    """Measured in a process of its own, whose event loop has nothing else to do, as a service's."""
    command = [sys.executable, "-m", f"scripts.bench.{module}"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603


def _look_inside(options: argparse.Namespace, files: ModelFiles, say: Callable[[str], None]) -> None:
    """What the service makes of the engine, and where the engine's time goes."""
    settings = Settings.from_env(os.environ)
    with tempfile.TemporaryDirectory() as temporary:
        sets = {each.name: each.paths for each in photo_sets(options.faces, options.sample or None, Path(temporary))}
        portraits = next(iter(sets.values()))
        say(profile_section(settings, files, sets))
        say(limits_section(settings, files))
        say(embedding_section(settings, files))
        say(asyncio.run(batching_section(settings, files, portraits)))
        say(asyncio.run(serving_section(settings, portraits)))
        say(asyncio.run(signing_section(settings, portraits)))
        say(asyncio.run(rest_section(settings, portraits)))


def _import(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Of LFW's development photos, where they are."""
    folder = options.faces / "lfw_dev" / "images"
    if folder.is_dir():
        say(asyncio.run(indexing_section(Settings.from_env(os.environ), folder, options.import_photos)))


def _compare_answers(faces: Path, ours: list[Ours], say: Callable[[str], None]) -> None:
    folders = {"photos": (faces / "photos", None), "lfw_dev": (faces / "lfw_dev" / "images", LFW_DEV_PHOTOS)}
    agreements: dict[str, Agreement] = {}
    for name, (folder, limit) in folders.items():
        paths = photos_below(folder)[:limit]
        if not paths:
            continue
        try:
            theirs = reference_answers(paths, ours[0].weights, ours[0].contract)
        except CannotInstallError as error:
            print(error)
            return
        names = [str(path.relative_to(folder)) for path in paths]
        for each in ours:
            agreements[f"{name}, {each.name}"] = agreement(names, [each.measure(path) for path in paths], theirs)
    if agreements:
        say(agreement_section(agreements))


@contextlib.contextmanager
def _started(environment: Environment, weights: Path) -> Iterator[list[Reference]]:
    """A reference, or none with the reason said where it can't be had."""
    try:
        reference = Reference(environment, weights)
    except CannotInstallError as error:
        print(f"Without {environment.name}: {error}", flush=True)
        yield []
        return
    with reference:
        yield [reference]


if __name__ == "__main__":
    main()
