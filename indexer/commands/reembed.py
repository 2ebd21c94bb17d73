"""`python -m indexer reembed`: every face computed again with another model, while the gallery stays in use."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator

from indexer.moving.stored_pictures import embed_again, seeing_all
from indexer.progress import Progress
from service.errors import FaceNotFound, InvalidImage, StoreUnavailable
from service.models import selection
from service.settings import Settings
from service.stores.listing import Key
from service.stores.opening import open_migration
from service.stores.store import Migration, Store
from service.values import Embedding, StoredFace
from service.vision.engine import Engine, open_engine

BATCH = 64
"""Faces read, computed and added at once."""

CLOSE = 100
"""When a comparison finds no more differences than this, the next one is made while the old gallery is held."""

SHOWN = 20
"""Faces that can't be computed again are named up to this number."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument("--drop-old", action="store_true", help="delete the old vectors once the new ones are in use")
    parser.add_argument(
        "--leave-out", action="store_true", help="go on without faces that can't be found in their pictures"
    )


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Bring the gallery to the model of the settings; 0, or 1 where faces stand against it.

    Raises StoreUnavailable where there is no gallery or, for the embedded one, a service has it open.
    """
    migration = open_migration(settings)
    try:
        return await reembed(settings, migration, arguments.drop_old, arguments.leave_out)
    finally:
        await migration.close()


async def reembed(settings: Settings, migration: Migration, drop_old: bool, leave_out: bool) -> int:
    """See `run`; the gallery is the migration's, which the caller closes."""
    kept = await migration.open()
    if kept is None:
        raise StoreUnavailable("There is no gallery there yet; FACE_DATA or FACE_QDRANT_URL say where it is.")
    files = await asyncio.to_thread(selection.prepare, settings, kept)
    if files.contract == kept:
        print(
            f"The gallery has the model {kept.model} already; FACE_MODEL or FACE_WEIGHTS name another.", file=sys.stderr
        )
        return 0
    engine = await open_engine(seeing_all(settings), files)
    try:
        work = Reembedding(engine, migration.old, await migration.begin(files.contract), settings.picture_side)
        return await _move(work, migration, drop_old, leave_out)
    finally:
        await engine.close()


async def _move(work: Reembedding, migration: Migration, drop_old: bool, leave_out: bool) -> int:
    """Compute, catch up, switch."""
    with Progress(await work.old.count(), "faces") as progress:
        changes = await work.catch_up(progress)
    while changes > CLOSE:
        print("Looking for faces that came or went meanwhile.", file=sys.stderr)
        before, changes = changes, await work.catch_up()
        if changes >= before:
            break
    await work.new.optimize()
    if work.failed and not leave_out:
        return _refuse(work)
    async with migration.block_writes():
        await work.catch_up()
        if work.failed and not leave_out:
            return _refuse(work)
        count = await work.new.count()
        before_it = await migration.switch(drop_old)
    fate = "was deleted" if drop_old else "is kept"
    print(f"The gallery has its new model, with {count:,} faces; the old one, {before_it}, {fate}.", file=sys.stderr)
    if work.failed:
        print(f"Left out: {len(work.failed):,} faces that can't be computed again.", file=sys.stderr)
    return 0


def _refuse(work: Reembedding) -> int:
    for face_id, reason in list(work.failed.items())[:SHOWN]:
        print(f"face {face_id}: {reason}", file=sys.stderr)
    print(
        f"The gallery keeps its model: {len(work.failed):,} faces can't be computed again; register their photos "
        "again and remove them, or go on without them with --leave-out.",
        file=sys.stderr,
    )
    return 1


class Reembedding:
    """Makes the new gallery hold what the old one does, as often as it is asked to."""

    def __init__(self, engine: Engine, old: Store, new: Store, picture_side: int) -> None:
        self.old = old
        self.new = new
        self.failed: dict[int, str] = {}
        """The faces of the old gallery that can't be computed again, and why."""
        self._engine = engine
        self._picture_side = picture_side

    async def catch_up(self, progress: Progress | None = None) -> int:
        """Add what is missing and remove what is too much; how much that was."""
        missing: list[int] = []
        changes = 0
        failed, self.failed = self.failed, {}
        async for ours, theirs in pairs(self.old.scan_keys(), self.new.scan_keys()):
            if theirs is not None and theirs != ours:
                await self.new.remove(theirs[1])
                changes += 1
            if ours is not None and ours != theirs:
                if ours[1] in failed:
                    self.failed[ours[1]] = failed[ours[1]]
                else:
                    missing.append(ours[1])
            if progress is not None and ours is not None:
                progress.advance()
            if len(missing) == BATCH:
                changes += await self._take_over(missing, progress)
                missing = []
        return changes + await self._take_over(missing, progress)

    async def _take_over(self, face_ids: list[int], progress: Progress | None) -> int:
        """Compute some faces, those that are still there, and add them."""
        faces = list((await self.old.fetch(face_ids)).values()) if face_ids else []
        embeddings = await asyncio.gather(*(self._embed(face) for face in faces))
        computed = [(face, each) for face, each in zip(faces, embeddings, strict=True) if each is not None]
        if computed:
            await self.new.add_many(computed)
        if progress is not None:
            progress.note(failed=len(faces) - len(computed))
        return len(computed)

    async def _embed(self, face: StoredFace) -> Embedding | None:
        try:
            return await embed_again(self._engine, face, self._picture_side)
        except (FaceNotFound, InvalidImage) as error:
            self.failed[face.face_id] = str(error)
            return None


async def pairs(ours: AsyncIterator[Key], theirs: AsyncIterator[Key]) -> AsyncIterator[tuple[Key | None, Key | None]]:
    """The keys of two galleries, each by rising face_id, side by side; None where one of them lacks the face."""
    mine, yours = await anext(ours, None), await anext(theirs, None)
    while mine is not None or yours is not None:
        behind = yours is None or (mine is not None and mine[1] < yours[1])
        ahead = mine is None or (yours is not None and yours[1] < mine[1])
        yield (None if ahead else mine), (None if behind else yours)
        mine = mine if ahead else await anext(ours, None)
        yours = yours if behind else await anext(theirs, None)
