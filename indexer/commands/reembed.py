"""`python -m indexer reembed`: every face computed again with another model, while the gallery stays in use."""

from __future__ import annotations

import argparse
import asyncio
import sys

from indexer.moving.reembed import Reembedding
from indexer.moving.stored_pictures import without_limits
from indexer.progress import Progress
from service.errors import StoreUnavailable
from service.models import selection
from service.settings import Settings
from service.stores.opening import open_migration
from service.stores.store import Migration
from service.vision.engine import open_engine

FEW_CHANGES = 100
"""When a comparison finds no more differences than this, the last one is made while writes are blocked."""

QUIET_S = 30.0
"""The old gallery counts as left when nothing has come to it or gone from it for so long."""

SHOWN = 20
"""Faces that can't be computed again are named up to this number."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument("--drop-old", action="store_true", help="delete the old vectors once the new ones are in use")
    parser.add_argument(
        "--leave-out", action="store_true", help="leave out faces that can't be found in their pictures"
    )


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Bring the gallery to the model of the settings; 0, or 1 where faces stand against it.

    Raises StoreUnavailable where there is no gallery or, for the embedded one, a service has it open.
    """
    migration = open_migration(settings)
    try:
        return await reembed(settings, migration, drop_old=arguments.drop_old, leave_out=arguments.leave_out)
    finally:
        await migration.close()


async def reembed(
    settings: Settings, migration: Migration, *, drop_old: bool, leave_out: bool, quiet_s: float = QUIET_S
) -> int:
    """See `run`; the gallery is the migration's, which the caller closes. It ends when nothing came for `quiet_s`."""
    kept = await migration.open()
    if kept is None:
        raise StoreUnavailable("There is no gallery there yet; FACE_DATA or FACE_QDRANT_URL say where it is.")
    files = await asyncio.to_thread(selection.prepare, settings, kept)
    if files.contract == kept:
        print(
            f"The gallery has the model {kept.model} already; set FACE_MODEL or FACE_WEIGHTS to move it to another.",
            file=sys.stderr,
        )
        return 0
    engine = await open_engine(without_limits(settings), files)
    try:
        new = await migration.begin(files.contract)
        work = Reembedding(engine, old=migration.old, new=new, picture_side=settings.picture_side)
        status = await _move(work, migration, leave_out=leave_out)
        if status == 0:
            await _leave(work, migration, drop_old=drop_old, quiet_s=quiet_s)
        return status
    finally:
        await engine.close()


async def _move(work: Reembedding, migration: Migration, *, leave_out: bool) -> int:
    """Compute, catch up, switch."""
    with Progress(await work.old.count(), "faces") as progress:
        changes = await work.catch_up(progress)
    while changes > FEW_CHANGES:
        print("Comparing again, because faces were added or removed meanwhile.", file=sys.stderr)
        former, changes = changes, await work.catch_up()
        if changes >= former:
            break
    await work.new.optimize()
    if work.failed and not leave_out:
        return _refuse(work)
    async with migration.block_writes():
        await work.catch_up(remember=True)
        if work.failed and not leave_out:
            return _refuse(work)
        count = await work.new.count()
        old_place = await migration.switch()
    print(f"The gallery has the new model and {count:,} faces; the old one is {old_place}.", file=sys.stderr)
    if work.failed:
        print(f"{len(work.failed):,} faces were left out, because they can't be computed again.", file=sys.stderr)
    return 0


async def _leave(work: Reembedding, migration: Migration, *, drop_old: bool, quiet_s: float) -> None:
    """Bring along what services with the old model were refused and what was carried out all the same."""
    if migration.is_shared:
        print(f"Waiting until nothing has come to the old one for {quiet_s:g} s.", file=sys.stderr)
        late = await work.follow(quiet_s)
        print(f"{late:,} late changes were brought along.", file=sys.stderr)
    if drop_old:
        await migration.drop_old()
        print("The old one was deleted.", file=sys.stderr)


def _refuse(work: Reembedding) -> int:
    for face_id, reason in list(work.failed.items())[:SHOWN]:
        print(f"face {face_id}: {reason}", file=sys.stderr)
    print(
        f"The gallery keeps its model, because {len(work.failed):,} faces can't be computed again. Register their "
        "photos again and remove these faces, or add --leave-out to go on without them.",
        file=sys.stderr,
    )
    return 1
