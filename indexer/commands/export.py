"""`python -m indexer export FILE`: every face of a gallery into a file or to standard output, with its vector."""

from __future__ import annotations

import argparse
import sys
from contextlib import aclosing, closing
from pathlib import Path

from indexer import service_access
from indexer.moving.archive_stream import STANDARD_OUTPUT, ArchiveStream
from indexer.moving.archive_writer import ArchiveWriter
from indexer.progress import Progress
from service.errors import StoreUnavailable, UnusableArchive
from service.gallery.opening import open_existing
from service.moving.archive import Header, Seal, face_id_of, face_line, read_header
from service.settings import Settings
from service.stores.store import Store

EXPORT_PATH = "/v1/export"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="file to write, compressed where its name ends in .zst or .gz; - is standard output",
    )
    service_access.service_options(parser)


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Export the gallery of the settings, or those of a running service; 0.

    The model plays no part: the gallery's own contract is written. Raises StoreUnavailable where there is no gallery,
    UnusableArchive where the file or standard output can't be written.
    """
    service_access.check_options(arguments)
    if arguments.service:
        return await _export_service(arguments)
    async with open_existing(settings) as (store, contract):
        if contract is None:
            raise StoreUnavailable("There is no gallery there yet; FACE_DATA or FACE_QDRANT_URL say where it is.")
        header = Header(contract, _place(settings), await store.count(), store.face_id_bits)
        with closing(_writer(arguments.file, header)) as writer:
            await _copy(store, writer, header.count)
            writer.finish()
        there = await store.count()
    _tell(arguments.file, writer.count)
    if there != writer.count:
        print(f"The gallery has {there:,} faces now: some were added or removed during the export.", file=sys.stderr)
    return 0


async def _export_service(arguments: argparse.Namespace) -> int:
    """Export what a service answers, each time from the start: lines of two moments make no archive."""
    if arguments.file.exists():  # before the service begins
        raise UnusableArchive(f"{arguments.file} is there already; name another file, or remove that one.")
    async with (
        service_access.connected(arguments.service, arguments.key_file) as service,
        aclosing(service.lines(EXPORT_PATH, arguments.gallery)) as lines,
    ):
        try:
            head = await anext(lines, b"")
            header, seal = read_header(head), Seal(head)
            with (
                closing(_writer(arguments.file, header, anew=True)) as writer,
                Progress(header.count, "faces") as progress,
            ):
                async for line in lines:
                    if seal.is_face(line):
                        writer.write(face_id_of(line) or 0, line)
                        progress.advance()
                seal.require_end()
                writer.finish()
        except ValueError as error:
            raise StoreUnavailable(
                f"The export of the service at {service.url} did not arrive whole ({error}); run the command again."
            ) from None
    _tell(arguments.file, writer.count)
    return 0


def _writer(file: Path, header: Header, *, anew: bool = False) -> ArchiveWriter | ArchiveStream:
    return (
        ArchiveStream(sys.stdout.buffer, header) if file == STANDARD_OUTPUT else ArchiveWriter(file, header, anew=anew)
    )


def _tell(file: Path, faces: int) -> None:
    where = "The export" if file == STANDARD_OUTPUT else file
    print(f"{where} holds {faces:,} faces.", file=sys.stderr)


async def _copy(store: Store, writer: ArchiveWriter | ArchiveStream, count: int) -> None:
    """Write the faces that the file doesn't have yet."""
    if writer.count:
        print(
            f"The file has {writer.count:,} faces already, and the export goes on after them. What was added or "
            "removed among these since then is not noticed.",
            file=sys.stderr,
        )
    with Progress(count, "faces", done=writer.count) as progress:
        async for face, embedding in store.scan_embedded(writer.after):
            writer.write(face.face_id, face_line(face, embedding))
            progress.advance()


def _place(settings: Settings) -> str:
    """Which gallery the settings mean, so that no file is taken up with another's faces."""
    if settings.qdrant_url is None:
        return str((settings.data / "gallery").absolute())
    return f"{settings.qdrant_url.rstrip('/')} {settings.qdrant_collection}"
