"""The galleries of an embedded store, as a file of its folder remembers them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from service.errors import StoreUnavailable
from service.files import replace_file
from service.values import DEFAULT_GALLERY, GalleryEntry

_NAME = "galleries.json"


def read_galleries(folder: Path) -> dict[str, GalleryEntry]:
    """By name, without the default one, which needs no entry. Raises StoreUnavailable for a file that can't be read."""
    path = folder / _NAME
    try:
        entries = json.loads(path.read_text("utf-8"))
        found = [GalleryEntry(name=name, created_at=datetime.fromisoformat(at)) for name, at in entries.items()]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreUnavailable(f"{path} can't be read as a list of galleries; restore it from a backup.") from error
    return {each.name: each for each in found}


def write_galleries(folder: Path, galleries: dict[str, GalleryEntry]) -> None:
    """Write them all: either the file is the new one on disk afterwards, or the old one."""
    entries = {name: each.created_at.isoformat() for name, each in sorted(galleries.items()) if each.created_at}
    replace_file(folder / _NAME, json.dumps(entries, indent=2) + "\n")


def listed(galleries: dict[str, GalleryEntry]) -> list[GalleryEntry]:
    """See Store.galleries."""
    return [GalleryEntry(name=DEFAULT_GALLERY, created_at=None), *(galleries[name] for name in sorted(galleries))]
