"""The galleries of an embedded store, as a file of its folder remembers them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from service.errors import StoreUnavailable
from service.files import replace_file
from service.stores.edge.ledger import Ledger
from service.values import DEFAULT_GALLERY, GalleryEntry

NAME = "galleries.json"


def read_galleries(folder: Path) -> dict[str, GalleryEntry]:
    """By name, without the default one, which needs no entry. Raises StoreUnavailable for a file that can't be read."""
    text = read_text(folder)
    try:
        entries = {} if text is None else json.loads(text)
        found = [GalleryEntry(name=name, created_at=datetime.fromisoformat(at)) for name, at in entries.items()]
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreUnavailable(
            f"{folder / NAME} can't be read as a list of galleries; restore it from a backup."
        ) from error
    return {each.name: each for each in found}


def read_text(folder: Path) -> str | None:
    """What the file says, None where there is none."""
    try:
        return (folder / NAME).read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return None


def write_galleries(folder: Path, galleries: dict[str, GalleryEntry], ledger: Ledger) -> None:
    """Write them all: either the file is the new one on disk afterwards, or the old one."""
    entries = {name: each.created_at.isoformat() for name, each in sorted(galleries.items()) if each.created_at}
    text = json.dumps(entries, indent=2) + "\n"
    ledger.announce_text(NAME, text)
    replace_file(folder / NAME, text)
    ledger.settle_text(NAME)


def listed(galleries: dict[str, GalleryEntry]) -> list[GalleryEntry]:
    """See Store.galleries."""
    return [GalleryEntry(name=DEFAULT_GALLERY, created_at=None), *(galleries[name] for name in sorted(galleries))]
