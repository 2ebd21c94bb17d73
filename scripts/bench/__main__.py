"""`make bench`: how fast this service turns photos into embeddings, against what users would pick instead, how far the
answers agree, and what the processor, the memory and the gallery leave to be gained.

Run from the project's folder: `python -m scripts.bench`. It takes some 25 minutes on two slow processors; `--thorough`
takes hours. The references are installed under .bench/ on first use. `--write` puts the report into docs/benchmarks.md
in place of the last one, and its pictures into docs/images; what other commands have measured stays there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.agreement import Agreement, agreement
from scripts.bench.answers import reference_answers
from scripts.bench.embedding import batching_section, embedding_section
from scripts.bench.environments import FACE_RECOGNITION, FACENET_PYTORCH, TODAYS_TORCH, CannotInstallError, Environment
from scripts.bench.indexing import indexing_section
from scripts.bench.limits import limits_section
from scripts.bench.ours import Ours, ours_started
from scripts.bench.photos import FACES, PhotoSet, photo_sets, photos_below
from scripts.bench.pipelines import Pipeline, Reference
from scripts.bench.plots import IMAGES, SEARCHES, THROUGHPUT, latency_by_size, size_rows
from scripts.bench.profile import profile_section
from scripts.bench.report import agreement_section, heading, set_section
from scripts.bench.rest import rest_section
from scripts.bench.search import search_milliseconds
from scripts.bench.serving import serving_section
from scripts.bench.signing import signing_section
from scripts.bench.throughput import throughput_section
from scripts.bench.timing import time_in_blocks
from scripts.generated import DOCS, write_part
from service.models.selection import ModelFiles
from service.settings import Settings

COMMAND = "make bench ARGS=--write"
PAGE = DOCS / "benchmarks.md"
GALLERY_SIZES = (1_000, 10_000, 100_000)
SCALING = DOCS / "scaling.md"
"""Where the searches of larger galleries stand than are made here."""
_REFERENCES = {each.name: each for each in (FACENET_PYTORCH, TODAYS_TORCH, FACE_RECOGNITION)}


@dataclass(frozen=True, slots=True)
class Effort:
    """How many photos, pairs and repetitions there are of everything."""

    sample: int | None
    rounds: int | None
    agreement: int
    pairs: int
    memory: tuple[int, int]
    imported: int | None
    seconds: float
    """Of each measurement of throughput."""
    references: tuple[Environment, ...]


USUAL = Effort(
    sample=60,
    rounds=2,
    agreement=200,
    pairs=200,
    memory=(100, 500),
    imported=500,
    seconds=8.0,
    references=(FACENET_PYTORCH, FACE_RECOGNITION),
)
THOROUGH = Effort(
    sample=None,
    rounds=None,
    agreement=1000,
    pairs=1000,
    memory=(200, 2000),
    imported=None,
    seconds=12.0,
    references=(FACENET_PYTORCH, TODAYS_TORCH, FACE_RECOGNITION),
)
QUICK = Effort(
    sample=6, rounds=1, agreement=4, pairs=10, memory=(10, 20), imported=20, seconds=0.5, references=(FACENET_PYTORCH,)
)
"""To see that all of it runs: its figures mean nothing."""


def main() -> None:
    options = _options()
    effort: Effort = options.effort
    written: list[str] = []

    def say(section: str) -> None:
        print(f"{section}\n", flush=True)
        written.append(section)

    with tempfile.TemporaryDirectory() as temporary, ours_started(os.environ) as ours:
        sets = photo_sets(options.faces, effort.sample, Path(temporary))
        sets = [dataclasses.replace(each, rounds=effort.rounds or each.rounds) for each in sets]
        if effort is QUICK:
            sets = [
                dataclasses.replace(each, paths=each.paths[: effort.sample]) for each in sets if each.name != "large"
            ]
        _compare_speed([each for each in sets if not options.sets or each.name in options.sets], options, ours, say)
        if not options.no_agreement:
            _compare_answers(options.faces, effort.agreement, ours, say)
        files = ours[0].files
        _look_inside(sets, options, files, say)
    if not options.no_import:
        _import(options.faces, effort.imported, say)
    if not options.no_gallery:
        _gallery(options, say)
    if options.write:
        write_part(options.page, COMMAND, "\n\n".join(written))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, default=FACES, help="folder with lfw_mini, lfw_dev, photos (%(default)s)")
    parser.add_argument("--sets", nargs="+", help="compare on these photo sets only: lfw_mini, photos, large")
    parser.add_argument("--against", nargs="*", choices=sorted(_REFERENCES), help="compare with these only")
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--thorough", dest="effort", action="store_const", const=THOROUGH, default=USUAL)
    effort.add_argument("--quick", dest="effort", action="store_const", const=QUICK, help="to see that all of it runs")
    parser.add_argument("--no-agreement", action="store_true", help="do not compare the answers")
    parser.add_argument("--no-import", action="store_true", help="leave out importing a folder of photos")
    parser.add_argument("--no-gallery", action="store_true", help="leave out galleries of up to 100,000 faces")
    parser.add_argument("--write", action="store_true", help="keep the report, in place of the page's last one")
    parser.add_argument("--page", type=Path, default=PAGE, help="where it is kept (%(default)s)")
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the pictures are (%(default)s)")
    return parser.parse_args()


def _compare_speed(
    sets: Sequence[PhotoSet], options: argparse.Namespace, ours: list[Ours], say: Callable[[str], None]
) -> None:
    references = [
        each
        for each in (options.effort.references if options.against is None else _REFERENCES.values())
        if options.against is None or each.name in options.against
    ]
    with contextlib.ExitStack() as running:
        pipelines: list[Pipeline] = [*ours]
        for environment in references:
            pipelines += running.enter_context(_started(environment, ours[0].weights))
        say(heading(pipelines))
        search = asyncio.run(search_milliseconds())
        for photos in sets:
            say(set_section(photos, time_in_blocks(pipelines, photos), search))


def _look_inside(
    sets: Sequence[PhotoSet], options: argparse.Namespace, files: ModelFiles, say: Callable[[str], None]
) -> None:
    """What the service makes of the engine, and where the engine's time goes."""
    settings, effort = Settings.from_env(os.environ), options.effort
    portraits = sets[0].paths
    picture = options.images / THROUGHPUT if options.write else None
    say(profile_section(settings, files, {each.name: each.paths for each in sets}))
    say(limits_section(settings, files))
    say(embedding_section(settings, files, effort.seconds))
    say(asyncio.run(batching_section(settings, files, portraits, effort.seconds)))
    say(throughput_section(settings, portraits, picture, effort.seconds))
    say(asyncio.run(serving_section(settings, portraits, effort.memory, effort.seconds)))
    say(asyncio.run(signing_section(settings, portraits, effort.pairs)))
    say(asyncio.run(rest_section(settings, portraits, effort.pairs)))


def _gallery(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Searches, writes and sizes of galleries of some sizes, with the picture of their searches."""
    sizes = GALLERY_SIZES[:1] if options.effort is QUICK else GALLERY_SIZES
    section = _section_of("edge", "--sizes", *map(str, sizes))
    pictures = []
    if options.write:
        rows = size_rows(section, SCALING.read_text("utf-8"))
        pictures = latency_by_size(rows, options.images / SEARCHES)
    say("\n".join([section, *(line for each in pictures for line in ("", f"![Searches](images/{each.name})"))]))


def _section_of(module: str, *arguments: str) -> str:
    """Measured in a process of its own, whose event loop has nothing else to do, as a service's."""
    command = [sys.executable, "-m", f"scripts.bench.{module}", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()  # noqa: S603


def _import(faces: Path, limit: int | None, say: Callable[[str], None]) -> None:
    """Of LFW's development photos, where they are."""
    folder = faces / "lfw_dev" / "images"
    if folder.is_dir():
        say(asyncio.run(indexing_section(Settings.from_env(os.environ), folder, limit)))


def _compare_answers(faces: Path, limit: int, ours: list[Ours], say: Callable[[str], None]) -> None:
    folders = {"photos": (faces / "photos", limit), "lfw_dev": (faces / "lfw_dev" / "images", limit)}
    agreements: dict[str, Agreement] = {}
    for name, (folder, most) in folders.items():
        paths = photos_below(folder)[:most]
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
