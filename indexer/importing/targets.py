"""Where photos go, each target with its journal: a gallery through engines here or on a Ray cluster, or a service."""

from __future__ import annotations

import hashlib
import json
import logging
from argparse import Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from indexer.importing.gallery_writer import GalleryWriter
from indexer.importing.journal import Journal
from indexer.importing.local_engine import local_engine
from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Target, Written
from indexer.importing.ray_engines import ray_engines
from indexer.importing.service_client import connected, signer
from service.errors import GalleryInUse
from service.gallery.duplicates import duplicate_check
from service.gallery.enrollment import Candidate
from service.gallery.opening import open_gallery
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, ModelContract

log = logging.getLogger(__name__)

REQUESTS = 8
"""Photos sent side by side where a service does the work, so that its devices don't wait behind a long queue."""


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """A target and its journal; `store` and `writer` are there where this process has the gallery open."""

    target: Target
    journal: Journal
    store: Store | None = None
    writer: GalleryWriter | None = None

    def added(self) -> int:
        """Faces that this process has added so far."""
        return self.writer.added if self.writer else 0


@asynccontextmanager
async def open_target(settings: Settings, arguments: Namespace) -> AsyncIterator[OpenTarget]:
    """What the command line asks for.

    Raises GalleryInUse, StoreUnavailable, ContractMismatch, ModelUnavailable, InvalidSettings or JournalUnavailable.
    """
    async with AsyncExitStack() as stack:
        opening = _through_service if arguments.service else _here
        opened_target = await opening(settings, arguments, stack)
        if arguments.again:
            opened_target.journal.clear()
        opened_target.journal.forget_transient()
        yield opened_target


async def _through_service(settings: Settings, arguments: Namespace, stack: AsyncExitStack) -> OpenTarget:
    sign = signer(arguments.device, arguments.secret_file) if arguments.device else None
    client = await stack.enter_async_context(connected(arguments.service, sign))
    path = _named_after(settings, arguments.service)
    journal = stack.enter_context(closing(Journal.open(path, f"through a service, at most {settings.max_bytes} bytes")))
    target = Target(observe=client.observe, write=client.write, in_flight=REQUESTS, max_bytes=settings.max_bytes)
    return OpenTarget(target, journal)


async def _here(settings: Settings, arguments: Namespace, stack: AsyncExitStack) -> OpenTarget:
    store = open_store(settings)
    stack.push_async_callback(store.close)
    writing = not arguments.dry_run
    try:
        files = await open_gallery(settings, store, create=writing)
    except GalleryInUse:
        raise GalleryInUse(
            f"The gallery in {settings.data} is open in another process, most likely the service; stop that one, or "
            f"add --service http://127.0.0.1:{settings.port} to send the photos through it."
        ) from None
    deciding = terms(settings, files.contract, arguments.faces)
    journal = stack.enter_context(closing(Journal.open(journal_path(settings), deciding, writing=writing)))
    if writing and not journal.is_empty() and await _is_empty(store):
        log.warning("The gallery is empty, so the journal of an earlier one is forgotten.")
        journal.clear()
    check = duplicate_check(settings, files.contract.model, store, DEFAULT_GALLERY)
    writer = GalleryWriter(store, lambda: datetime.now(UTC), duplicate_check=check)
    if arguments.ray:
        engines = ray_engines(settings, files.contract, arguments.faces, arguments.workers)
    else:
        engines = local_engine(settings, files, arguments.faces)
    observe, in_flight = await stack.enter_async_context(engines)
    target = Target(
        observe=observe,
        write=writer.write if writing else _would_write,
        in_flight=in_flight,
        max_bytes=settings.max_bytes,
    )
    return OpenTarget(target, journal, store, writer)


async def _is_empty(store: Store) -> bool:
    first = store.scan(limit=1, gallery=DEFAULT_GALLERY)  # counting many millions may take a server too long
    return await anext(first, None) is None


async def _would_write(candidates: Sequence[tuple[Candidate, str]]) -> list[list[Written]]:
    return [[(Outcome.WOULD_REGISTER, None)] * len(candidate.faces) for candidate, _ in candidates]


def journal_path(settings: Settings) -> Path:
    """Inside of an embedded gallery's folder, so that they come and go together; else named after the server."""
    if settings.qdrant_url is None:
        return settings.data / "gallery" / "journal.sqlite"
    return _named_after(settings, f"{settings.qdrant_url} {settings.qdrant_collection}")


def _named_after(settings: Settings, place: str) -> Path:
    return settings.data / "journals" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.sqlite"


def terms(settings: Settings, contract: ModelContract, faces: str) -> str:
    """All settings that decide what becomes of a photo: where one differs, the journal's word doesn't count."""
    searching = ("min_score", "min_face", "min_share", "search_side", "max_bytes", "max_pixels", "rotate")
    names = (*searching, "choice", "quality", "mirror")
    return json.dumps([asdict(contract), faces, *(getattr(settings, name) for name in names)])
