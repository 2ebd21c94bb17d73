"""`python -m indexer import FILE`: every face of an exported file into a gallery, on disk or on a server."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from indexer.moving.archive_reader import ArchiveReader
from indexer.progress import Progress
from service.errors import ContractMismatch, UnusableArchive
from service.settings import Settings
from service.stores.contracts import describe
from service.stores.opening import open_store
from service.stores.store import Added, Store
from service.values import Embedding, ModelContract, StoredFace

BATCH = 128
"""Faces added at once, fewer where their pictures have BATCH_BYTES."""

BATCH_BYTES = 8 * 2**20

Batch = list[tuple[StoredFace, Embedding]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that `export` wrote")


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Import into the gallery of the settings; 0, or 1 where not every face of the file could be.

    A new gallery gets the file's contract; the model itself isn't needed. Raises UnusableArchive for a file that is no
    export, ContractMismatch for a gallery of another model.
    """
    store = open_store(settings)
    with ArchiveReader(arguments.file) as reader:
        try:
            await _bind(store, reader.header.contract, reader.header.face_id_bits)
            outcomes, damage = await _copy(reader, store)
        finally:
            await store.close()
    print(
        f"{outcomes[Added.NEW]:,} faces imported, {outcomes[Added.KNOWN]:,} were there already.",
        file=sys.stderr,
    )
    if outcomes[Added.TAKEN]:
        print(f"{outcomes[Added.TAKEN]:,} not imported: other faces have their face_ids.", file=sys.stderr)
    if damage is not None:
        print(damage, file=sys.stderr)
    if settings.model not in ("auto", reader.header.contract.model):
        print(f"The gallery's model is {reader.header.contract.model}, not that of FACE_MODEL.", file=sys.stderr)
    return 1 if damage or outcomes[Added.TAKEN] else 0


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
