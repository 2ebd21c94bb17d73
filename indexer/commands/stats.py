"""`python -m indexer stats`: how large a gallery is, and which model it was made with."""

from __future__ import annotations

import argparse
from pathlib import Path

from service.gallery.opening import open_existing
from service.settings import Settings
from service.stores.store import MAX_COUNTED_REMARKS, Figures


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


async def run(settings: Settings, _: argparse.Namespace) -> int:
    """Print the figures; 0. Raises GalleryInUse while a service has the embedded gallery open."""
    where = settings.qdrant_url or str(settings.data)
    async with open_existing(settings) as (store, contract):
        if contract is None:
            print(f"There is no gallery in {where} yet.")
            return 0
        figures = await store.figures()
    more = " or more" if figures.remarks == MAX_COUNTED_REMARKS else ""
    print(f"gallery  {where}")
    print(f"model    {contract.model} (weights {contract.digest[:12]}, preprocessing {contract.preprocessing})")
    print(f"faces    {figures.faces:,}")
    print(f"remarks  {figures.remarks:,}{more}")
    print(f"index    {_index(figures)}")
    if settings.qdrant_url is None:
        print(f"disk     {_bytes_below(settings.data / 'gallery') / 1e6:,.1f} MB")
    return 0


def _index(figures: Figures) -> str:
    if figures.indexed == 0:
        return "none; every search compares all faces"
    return f"covers {min(figures.indexed, figures.faces):,} faces"


def _bytes_below(folder: Path) -> int:
    """What the files of a folder occupy; Edge's hold holes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
