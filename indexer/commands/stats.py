"""`python -m indexer stats`: how large a gallery is, and which model it was made with."""

from __future__ import annotations

import argparse
from pathlib import Path

from indexer import service_access
from service.errors import StoreUnavailable
from service.gallery.opening import open_existing
from service.settings import Settings
from service.stores.store import Figures


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which service is asked, if one is."""
    service_access.service_options(parser)


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the figures; 0. Raises GalleryInUse while a service has the embedded gallery open and isn't asked."""
    service_access.check_options(arguments)
    if arguments.service:
        return await _ask_service(arguments)
    where = settings.qdrant_url or str(settings.data)
    async with open_existing(settings) as (store, contract):
        if contract is None:
            print(f"There is no gallery in {where} yet.")
            return 0
        figures = await store.figures()
    about = " (estimated)" if figures.are_remarks_estimated else ""
    print(f"gallery  {where}")
    print(f"model    {contract.model} (weights {contract.digest[:12]}, preprocessing {contract.preprocessing})")
    print(f"faces    {figures.faces:,}")
    print(f"remarks  {figures.remarks:,}{about}")
    print(f"index    {_index(figures)}")
    if settings.qdrant_url is None:
        print(f"disk     {_bytes_below(settings.data / 'gallery') / 1e6:,.1f} MB")
    return 0


async def _ask_service(arguments: argparse.Namespace) -> int:
    """What a service says of its model, and of each gallery that the key may use or the one that is named."""
    async with service_access.connected(arguments.service, arguments.key_file) as service:
        model = await service.get("/v1/model")
        named = [arguments.gallery] if arguments.gallery else await _names(service)
        stats = [await service.get("/v1/stats", name) for name in named]
    try:
        told = f"{model['model']} (weights {model['digest'][:12]}, preprocessing {model['preprocessing']})"
        faces = [(str(each["gallery"]), int(each["faces"])) for each in stats]
    except (KeyError, TypeError, ValueError):
        raise StoreUnavailable(
            f"What answers at {service.url} is no face service with /v1; correct --service."
        ) from None
    print(f"service  {service.url}")
    print(f"model    {told}")
    print(f"faces    {sum(count for _, count in faces):,}")
    for name, count in faces:
        print(f"gallery  {name}: {count:,} faces")
    return 0


async def _names(service: service_access.ServiceAccess) -> list[str]:
    answer = await service.get("/v1/galleries")
    return [str(each["gallery"]) for each in answer.get("galleries", []) if "gallery" in each]


def _index(figures: Figures) -> str:
    if figures.indexed == 0:
        return "none; every search compares all faces"
    return f"covers {min(figures.indexed, figures.faces):,} faces"


def _bytes_below(folder: Path) -> int:
    """What the files of a folder occupy; Edge's hold holes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
