"""`python -m indexer optimize`: builds the index of an embedded gallery, so that searching many faces stays fast."""

from __future__ import annotations

import argparse
import time

from service.gallery.opening import open_existing
from service.settings import Settings
from service.stores.store import Figures, Store

MICROSECONDS_A_FACE = 1000
"""On two cores; for the announcement only."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--purge`."""
    parser.add_argument(
        "--purge",
        action="store_true",
        help="also leave nothing of removed faces in the gallery's files, at once instead of within FACE_PURGE_S",
    )


async def run(settings: Settings, options: argparse.Namespace) -> int:
    """Build it; 0. Raises GalleryInUse while a service has the gallery open."""
    if settings.qdrant_url is not None:
        print("Nothing to do: a Qdrant server builds its index by itself.")
        return 0
    async with open_existing(settings) as (store, contract):
        if contract is None:
            print(f"There is no gallery in {settings.data} yet.")
        else:
            await build_index(store, await store.figures(), purge=options.purge)
    return 0


async def build_index(store: Store, figures: Figures, *, purge: bool = False) -> None:
    """Build it, with a line before and one after; `purge`: see Store.optimize."""
    minutes = (figures.faces - (0 if purge else figures.indexed)) * MICROSECONDS_A_FACE / 60e6
    expected = f"about {minutes:.0f} minutes" if minutes >= 1 else "less than a minute or two"
    print(f"Building the index over {figures.faces:,} faces; this takes {expected}.", flush=True)
    began = time.monotonic()
    await store.optimize(purge=purge)
    indexed = (await store.figures()).indexed
    covers = f"covers {indexed:,} faces" if indexed else "isn't needed yet, for so few faces"
    print(f"The index {covers}; that took {time.monotonic() - began:.0f} s.", flush=True)
    if purge:
        print("Nothing of removed faces is left in the gallery's files.")
