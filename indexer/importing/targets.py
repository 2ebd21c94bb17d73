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

from indexer.importing.credentials import Credentials, bearing, no_credentials, signing
from indexer.importing.engine_processes import engine_processes
from indexer.importing.gallery_writer import GalleryWriter
from indexer.importing.journal import Journal
from indexer.importing.local_engine import local_engine
from indexer.importing.outcomes import Outcome
from indexer.importing.pipeline import Target, Written
from indexer.importing.ray_engines import ray_engines
from indexer.importing.service_client import IN_FLIGHT, connected
from service.errors import GalleryInUse
from service.gallery.duplicates import duplicate_check
from service.gallery.enrollment import Candidate
from service.gallery.opening import open_gallery
from service.settings import Settings
from service.stores.opening import open_store
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, ModelContract
from service.vision.embedder import uses_gpu

log = logging.getLogger(__name__)


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
    client = await stack.enter_async_context(
        connected(arguments.service, _credentials(arguments), gallery=arguments.gallery)
    )
    path = _named_after(settings, f"{arguments.service}{_gallery_there(arguments)}")
    journal = stack.enter_context(closing(Journal.open(path, f"through a service, at most {settings.max_bytes} bytes")))
    target = Target(observe=client.observe, write=client.write, in_flight=IN_FLIGHT, max_bytes=settings.max_bytes)
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
    gallery = arguments.gallery or DEFAULT_GALLERY
    if writing and gallery != DEFAULT_GALLERY and await store.create_gallery(gallery, datetime.now(UTC)):
        log.info("The gallery %s is new.", gallery)
    deciding = terms(settings, files.contract, arguments.faces)
    journal = stack.enter_context(closing(Journal.open(journal_path(settings, gallery), deciding, writing=writing)))
    if writing and not journal.is_empty() and await _is_empty(store, gallery):
        log.warning("The gallery is empty, so the journal of an earlier one is forgotten.")
        journal.clear()
    check = duplicate_check(settings, files.contract.model, store, gallery)
    writer = GalleryWriter(store, lambda: datetime.now(UTC), duplicate_check=check, gallery=gallery)
    if arguments.ray:
        engines = ray_engines(settings, files.contract, arguments.faces, arguments.workers)
    elif uses_gpu(settings.compute):
        engines = engine_processes(settings, files.weights, arguments.faces)
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


def _credentials(arguments: Namespace) -> Credentials:
    if arguments.device:
        return signing(arguments.device, arguments.secret_file)
    return bearing(arguments.key_file) if arguments.key_file else no_credentials


def _gallery_there(arguments: Namespace) -> str:
    """What tells a service's galleries apart: their names, or the device whose own one is meant."""
    if arguments.gallery:
        return "" if arguments.gallery == DEFAULT_GALLERY else f" {arguments.gallery}"
    return f" of {arguments.device}" if arguments.device else ""


async def _is_empty(store: Store, gallery: str) -> bool:
    first = store.scan(limit=1, gallery=gallery)  # counting many millions may take a server too long
    return await anext(first, None) is None


async def _would_write(candidates: Sequence[tuple[Candidate, str]]) -> list[list[Written]]:
    return [[(Outcome.WOULD_REGISTER, None)] * len(candidate.faces) for candidate, _ in candidates]


def journal_path(settings: Settings, gallery: str = DEFAULT_GALLERY) -> Path:
    """Inside of the embedded store's folder, so that they come and go together; else named after the server.

    Each gallery has a journal of its own: what one has, another doesn't.
    """
    if settings.qdrant_url is None:
        suffix = "" if gallery == DEFAULT_GALLERY else f"-{gallery}"
        return settings.data / "gallery" / f"journal{suffix}.sqlite"
    place = f"{settings.qdrant_url} {settings.qdrant_collection}"
    return _named_after(settings, place if gallery == DEFAULT_GALLERY else f"{place} {gallery}")


def _named_after(settings: Settings, place: str) -> Path:
    return settings.data / "journals" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.sqlite"


def terms(settings: Settings, contract: ModelContract, faces: str) -> str:
    """All settings that decide what becomes of a photo: where one differs, the journal's word doesn't count."""
    searching = ("min_score", "min_face", "min_share", "search_side", "max_bytes", "max_pixels", "rotate")
    names = (*searching, "choice", "quality", "mirror")
    return json.dumps([asdict(contract), faces, *(getattr(settings, name) for name in names)])
