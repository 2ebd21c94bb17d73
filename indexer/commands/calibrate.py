"""`python -m indexer calibrate`: measures a gallery's error rates with its own faces, and proposes a threshold."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import replace
from pathlib import Path

from indexer.calibrating.findings import MIN_PEOPLE, BuiltIn, Subject, as_json, find
from indexer.calibrating.report import report, too_few
from indexer.calibrating.sample import Sample, Sampler
from indexer.progress import Progress
from service.errors import InvalidSettings, StoreUnavailable
from service.files import replace_file
from service.gallery.calibration import Calibration
from service.gallery.cross_search import People, search_all
from service.gallery.opening import open_existing
from service.gallery.thresholds import NO_THRESHOLD, SCORES, threshold_for
from service.settings import Score, Settings
from service.stores.store import Store

NOTHING_TOLD = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and the whole curve there, too")


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the report; 0, or 1 where the gallery has too few people for one.

    The gallery is given up before its faces are compared. Raises GalleryInUse while a service has the embedded gallery
    open, StoreUnavailable where there is none, InvalidSettings for a file that can't be written.
    """
    _require_writable(arguments.json)
    async with open_existing(settings) as (store, contract):
        if contract is None:
            raise StoreUnavailable("There is no gallery there yet; FACE_DATA or FACE_QDRANT_URL say where it is.")
        figures = await store.figures()
        sample = await _read(store, figures.faces)
    if len(sample.remarks) < MIN_PEOPLE:
        print(too_few(len(sample.remarks)))
        return NOTHING_TOLD
    subject = Subject(
        gallery=settings.qdrant_url or str(settings.data),
        contract=contract,
        faces=figures.faces,
        people=figures.remarks,
        score=settings.score,
        wanted_fpir=settings.fpir,
        threshold=_number_set(settings),
        built_in=_built_in(settings, contract.model, faces=figures.faces),
    )
    findings = find(subject, sample, await _calibrate(sample.people, settings.score))
    print(report(findings))
    if arguments.json is not None:
        replace_file(arguments.json, json.dumps(as_json(findings), indent=1) + "\n")
    return 0


def _require_writable(path: Path | None) -> None:
    """Before minutes of work, rather than after them."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InvalidSettings(f"--json {path} is no file in a folder that exists; name another one.")


async def _read(store: Store, faces: int) -> Sample:
    sampler = Sampler()
    with Progress(faces, "faces read") as progress:
        async for face, embedding in store.scan_embedded():
            sampler.add(face.remark, embedding)
            progress.advance()
    return sampler.finish()


async def _calibrate(people: People, score: Score) -> Calibration:
    blocks = []
    with Progress(len(people.owners), "faces searched") as progress:
        for block in search_all(people, score):
            blocks.append(block)
            progress.advance(len(block.strangers.probes))
            await asyncio.sleep(0)  # here the command can be stopped
    return Calibration.of(people, blocks)


def _number_set(settings: Settings) -> float | None:
    if settings.threshold == "auto":
        return None
    return None if settings.threshold == NO_THRESHOLD else settings.threshold


def _built_in(settings: Settings, model: str, *, faces: int) -> BuiltIn | None:
    """What FACE_THRESHOLD=auto would be; None where it can't be used."""
    if settings.score != "cohort" or model not in SCORES:
        return None
    return lambda fpir: threshold_for(replace(settings, threshold="auto", fpir=fpir), model)(faces)
