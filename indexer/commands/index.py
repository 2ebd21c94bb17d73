"""`python -m indexer index`: imports the photos of a folder or of a CSV file, and says what became of each."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from indexer.commands.optimize import build_index
from indexer.importing.local_engine import FACES
from indexer.importing.names import UTF8, Names, known_encoding
from indexer.importing.photo_files import REMARKS, Item, Photo, find_photos
from indexer.importing.pipeline import Pipeline
from indexer.importing.report import Report
from indexer.importing.targets import OpenTarget, open_target
from indexer.progress import Progress
from service.devices.entries import GALLERY
from service.errors import InvalidSettings
from service.settings import Settings

log = logging.getLogger(__name__)

SUCCESS, SOME_FAILED, STOPPED = 0, 1, 130

SETTLE_S = 2.0
"""With --watch, a file that changed so lately may still be written."""

POLL_S = (2.0, 60.0)
"""Shortest and longest pause between two listings of a watched folder; in between, as long as the last one took."""

INDEX_FROM = 10_000
"""Faces without an index from which searching them costs milliseconds; the index is built at the end."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("source", type=Path, help="folder of photos, or CSV file whose first line is path,remark")
    parser.add_argument(
        "--remark",
        choices=REMARKS,
        default="folder",
        help="a photo's remark: the name of its folder (default), the file's own without suffix, or its path",
    )
    parser.add_argument(
        "--encoding",
        type=_encoding,
        default=UTF8,
        metavar="NAME",
        help="what names of files and folders and the CSV file are written in, as gbk, big5 or shift_jis; else UTF-8",
    )
    parser.add_argument(
        "--faces",
        choices=list(FACES),
        default="one",
        help="faces of a photo to import: the one that FACE_CHOICE says (default), the largest, the single one of a "
        "photo with no others, or all",
    )
    parser.add_argument("--service", metavar="URL", help="send the photos to the service that runs there")
    parser.add_argument("--device", metavar="ID", help="with --service: the device that signs the requests")
    parser.add_argument("--secret-file", type=Path, metavar="FILE", help="with --device: the file of its secret")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="with --service: the file of an operator's key")
    parser.add_argument("--gallery", type=_gallery, metavar="NAME", help="the gallery that the faces are registered in")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where the report goes: .csv, or JSON lines")
    parser.add_argument("--dry-run", action="store_true", help="report what would be imported, but import nothing")
    parser.add_argument("--limit", type=_count, metavar="N", help="import N new photos at most")
    parser.add_argument("--workers", type=_count, metavar="N", help="number of threads (with --ray: of engines)")
    parser.add_argument("--watch", action="store_true", help="keep running and import what is added, until Ctrl-C")
    parser.add_argument("--again", action="store_true", help="process all photos again, also those of earlier runs")
    parser.add_argument("--ray", action="store_true", help="spread the work over a Ray cluster")


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return int(text)


def _encoding(text: str) -> str:
    try:
        return known_encoding(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _gallery(text: str) -> str:
    if not GALLERY.fullmatch(text):
        raise argparse.ArgumentTypeError("must have up to 64 of a to z, 0 to 9, - and _, the first a letter or digit")
    return text


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Import; 0 success, 1 some photos failed, 130 stopped. Raises FaceServiceError where it can't run."""
    _check(arguments)
    if arguments.workers and not arguments.ray:
        settings = replace(settings, threads=arguments.workers)
    find = find_photos(arguments.source, arguments.remark, arguments.encoding)
    async with open_target(settings, arguments) as opened_target:
        with Report(arguments.report or _report_path(settings), Names(arguments.encoding)) as report:
            try:
                stopped = await _import(find, opened_target, report, arguments)
                if not stopped and settings.qdrant_url is None and opened_target.added():
                    await _index_if_large(opened_target)
            finally:  # also where the import could not go on
                print(report.summary(), flush=True)
    if stopped:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return STOPPED
    return SOME_FAILED if report.failed else SUCCESS


def _check(arguments: argparse.Namespace) -> None:
    """Raises InvalidSettings for options that contradict each other."""
    if arguments.service and (arguments.dry_run or arguments.ray or arguments.faces != "one"):
        raise InvalidSettings("With --service the service finds the faces; leave out --dry-run, --faces and --ray.")
    if (arguments.device is None) != (arguments.secret_file is None) or (arguments.device and not arguments.service):
        raise InvalidSettings("--device and --secret-file go together, and with --service.")
    if arguments.key_file and (arguments.device or not arguments.service):
        raise InvalidSettings("--key-file goes with --service, and without --device.")
    if arguments.watch and (arguments.dry_run or arguments.limit):
        raise InvalidSettings("With --watch the import goes on until Ctrl-C; leave out --dry-run and --limit.")


async def _import(
    find: Callable[[], Iterator[Item]], opened_target: OpenTarget, report: Report, arguments: argparse.Namespace
) -> bool:
    """Whether it was stopped before all was imported."""
    with Progress(None, "files") as progress:
        pipeline = Pipeline(
            opened_target.target, opened_target.journal, report, progress, SETTLE_S if arguments.watch else 0.0
        )
        with _stopped_by_signals(pipeline.stopping):
            if arguments.watch:
                await _watch(find, pipeline)
                return False
            async with _counted(find, arguments.limit, progress):
                await pipeline.run(find(), arguments.limit)
    return pipeline.stopping.is_set()


async def _watch(find: Callable[[], Iterator[Item]], pipeline: Pipeline) -> None:
    """Import until told to stop; lists the files again and again, for not every file system tells what is added."""
    items = find()
    while not pipeline.stopping.is_set():
        began = time.monotonic()
        await pipeline.run(items)
        pipeline.only_new = True
        items = (item for item in find() if isinstance(item, Photo))
        pause_s = min(max(time.monotonic() - began, POLL_S[0]), POLL_S[1])
        with suppress(TimeoutError):
            await asyncio.wait_for(pipeline.stopping.wait(), pause_s)


@asynccontextmanager
async def _counted(find: Callable[[], Iterator[Item]], limit: int | None, progress: Progress) -> AsyncIterator[None]:
    """Count the files in a thread beside the block, so that the progress has a total soon."""
    enough = threading.Event()

    def count() -> int:
        return sum(1 for _ in takewhile(lambda _: not enough.is_set(), find()))

    async def tell() -> None:
        total = await asyncio.to_thread(count)
        if not enough.is_set() and limit is None:
            progress.expect(total)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        enough.set()
        await asyncio.wait([telling])


@contextmanager
def _stopped_by_signals(stopping: asyncio.Event) -> Iterator[None]:
    """On SIGINT or SIGTERM the photos in flight are finished; a second one stops at once, and loses nothing either."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and task:
            task.cancel()
        else:
            stopping.set()
            log.warning("Stopping after the photos that are being processed; Ctrl-C again stops at once.")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _index_if_large(opened_target: OpenTarget) -> None:
    """The embedded gallery builds its index only when told to."""
    if opened_target.store:
        figures = await opened_target.store.figures()
        if figures.faces - figures.indexed >= INDEX_FROM:
            await build_index(opened_target.store, figures)


def _report_path(settings: Settings) -> Path:
    return settings.data / "reports" / f"index-{datetime.now().astimezone():%Y%m%d-%H%M%S}.jsonl"
