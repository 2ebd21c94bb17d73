"""`python -m indexer import FILE`: every face of an exported file into a gallery, on disk or on a server."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from indexer import service_access
from indexer.moving.archive_reader import ArchiveReader
from indexer.progress import Progress
from service.errors import ContractMismatch, StoreUnavailable, UnusableArchive
from service.settings import Settings
from service.stores.contracts import describe
from service.stores.opening import open_store
from service.stores.store import Added, Store
from service.values import Embedding, ModelContract, StoredFace

BATCH = 128
"""Faces added at once, fewer where their pictures have BATCH_BYTES."""

BATCH_BYTES = 8 * 2**20

CHUNK_BYTES = 256 * 1024
"""Of lines that are sent to a service together."""

IMPORT_PATH = "/v1/import"

Batch = list[tuple[StoredFace, Embedding]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that `export` wrote")
    service_access.service_options(parser)


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Import into the gallery of the settings, or through a service; 0, or 1 where not every face of the file could be.

    A new gallery gets the file's contract; the model itself isn't needed. Raises UnusableArchive for a file that is no
    export, ContractMismatch for a gallery of another model.
    """
    service_access.check_options(arguments)
    if arguments.service:
        return await _import_service(arguments)
    store = open_store(settings)
    with ArchiveReader(arguments.file) as reader:
        try:
            await _bind(store, reader.header.contract, reader.header.face_id_bits)
            outcomes, damage = await _copy(reader, store)
        finally:
            await store.close()
    _tell(outcomes)
    if damage is not None:
        print(damage, file=sys.stderr)
    if settings.model not in ("auto", reader.header.contract.model):
        print(f"The gallery's model is {reader.header.contract.model}, not that of FACE_MODEL.", file=sys.stderr)
    return 1 if damage or outcomes[Added.TAKEN] else 0


async def _import_service(arguments: argparse.Namespace) -> int:
    """Send the file's lines, and say what became of them; 0, or 1 where not every face of the file could be."""
    damage: list[UnusableArchive] = []
    with ArchiveReader(arguments.file) as reader:
        async with service_access.connected(arguments.service, arguments.key_file) as service:
            with Progress(reader.header.count, "faces") as progress:
                try:
                    done = await service.send(IMPORT_PATH, arguments.gallery, _sent(reader, progress, damage))
                except UnusableArchive as error:
                    print(*damage, error, sep="\n", file=sys.stderr)
                    return 1
    try:
        outcomes = Counter({Added.NEW: done["added"], Added.KNOWN: done["known"], Added.TAKEN: done["taken"]})
    except KeyError:
        raise StoreUnavailable(
            f"What answers at {service.url} is no face service with /v1; correct --service."
        ) from None
    _tell(outcomes)
    return 1 if outcomes[Added.TAKEN] else 0


async def _sent(reader: ArchiveReader, progress: Progress, damage: list[UnusableArchive]) -> AsyncIterator[bytes]:
    """The file's lines, some at a time, read beside the event loop; up to its damage, if there is one."""
    lines = reader.lines()

    def some() -> tuple[list[bytes], UnusableArchive | None]:
        found: list[bytes] = []
        size = 0
        try:
            for line in lines:
                found.append(line)
                size += len(line)
                if size >= CHUNK_BYTES:
                    break
        except UnusableArchive as error:
            return found, error
        return found, None

    while True:
        found, error = await asyncio.to_thread(some)
        if found:
            yield b"".join(found)
            progress.advance(len(found))
        if error is not None:
            damage.append(error)
        if error is not None or not found:
            return


def _tell(outcomes: Counter[Added]) -> None:
    print(
        f"{outcomes[Added.NEW]:,} faces imported, {outcomes[Added.KNOWN]:,} were there already.",
        file=sys.stderr,
    )
    if outcomes[Added.TAKEN]:
        print(f"{outcomes[Added.TAKEN]:,} not imported: other faces have their face_ids.", file=sys.stderr)


async def _bind(store: Store, contract: ModelContract, face_id_bits: int) -> None:
    kept = await store.open()
    if kept not in (None, contract):
        raise ContractMismatch(
            f"The file's faces were made with {describe(contract)}, those of the gallery with {describe(kept)}; import "
            "it into a new gallery (FACE_DATA or FACE_QDRANT_COLLECTION), and run `python -m indexer reembed` on that "
            "one."
        )
    await store.bind(contract, face_id_bits=face_id_bits)
    if store.face_id_bits < face_id_bits:
        raise UnusableArchive(
            f"The file's numbers of faces have {face_id_bits} bits, those of the gallery {store.face_id_bits}; import "
            "it into a new gallery (FACE_DATA or FACE_QDRANT_COLLECTION)."
        )


async def _copy(reader: ArchiveReader, store: Store) -> tuple[Counter[Added], UnusableArchive | None]:
    """Add the faces up to the end of the file, or to where it is damaged; what became of them, and the damage."""
    outcomes: Counter[Added] = Counter()
    faces = reader.read()
    with Progress(reader.header.count, "faces") as progress:
        while True:
            batch, damage = _take(faces)
            added = await store.add_many(batch) if batch else []
            outcomes.update(added)
            progress.advance(len(batch))
            progress.note(failed=added.count(Added.TAKEN))
            if damage is not None or not batch:
                return outcomes, damage


def _take(faces: Iterator[tuple[StoredFace, Embedding]]) -> tuple[Batch, UnusableArchive | None]:
    """The next faces, none at the end of the file; and the damage that comes after them, if any."""
    batch: Batch = []
    size = 0
    try:
        for face, embedding in faces:
            batch.append((face, embedding))
            size += len(face.picture)
            if len(batch) == BATCH or size >= BATCH_BYTES:
                break
    except UnusableArchive as damage:
        return batch, damage
    return batch, None
