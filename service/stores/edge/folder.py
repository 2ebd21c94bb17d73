"""The embedded gallery's folder: who owns it, and which model its faces were made with."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from service.errors import GalleryInUse, StoreUnavailable
from service.stores.contracts import from_mapping, to_mapping
from service.values import ModelContract

LOCK_PATIENCE_S = 3.0
"""A service that was just killed needs a moment to leave before its successor finds the folder free."""


def lock(folder: Path) -> int:
    """The descriptor of the lock file; the system lets go of it when this process ends, however it ends.

    Raises GalleryInUse when another process keeps it for longer than LOCK_PATIENCE_S.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            os.close(descriptor)
            raise GalleryInUse(
                f"The gallery in {folder} is open in another process; stop that one, or give this one a folder of its "
                "own with FACE_DATA."
            ) from None
        return descriptor


def read_contract(folder: Path) -> ModelContract | None:
    """What `contract.json` says, None for a new gallery.

    Raises StoreUnavailable for one that can't be read, or is missing beside a shard.
    """
    path = folder / "contract.json"
    try:
        return from_mapping(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        if (folder / "shard").exists():
            raise StoreUnavailable(
                f"{path} is missing, so nobody knows which model the faces beside it were made with; put it back."
            ) from None
        return None
    except (ValueError, TypeError) as error:
        raise StoreUnavailable(f"{path} can't be read as a model contract; restore it from a backup.") from error


def write_contract(folder: Path, contract: ModelContract) -> None:
    """Write `contract.json`: either all of it is on disk afterwards, or none."""
    path = folder / "contract.json"
    draft = folder / "contract.json.new"
    draft.write_text(json.dumps(to_mapping(contract), indent=2) + "\n", "utf-8")
    fsync(draft)
    draft.replace(path)
    fsync(folder)


def exchange(folder: Path, draft: Path) -> Path:
    """Put the gallery in `draft` in the place of the one in `folder`; where that one is afterwards.

    Both must be closed. Cut off at any moment, `folder` is the old one, or it is nothing and `adopt` makes it the new
    one. Raises GalleryInUse for a gallery that was opened meanwhile.
    """
    for path in (*draft.rglob("*"), draft):
        fsync(path)
    before = folder.with_name(f"{folder.name}.old-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    descriptor = lock(folder)
    try:
        draft.rename(_heir(folder))
        fsync(folder.parent)
        folder.rename(before)
        adopt(folder)
    finally:
        os.close(descriptor)
    return before


def adopt(folder: Path) -> None:
    """Finish an `exchange` that was cut off when the old gallery was away and the new one not yet in its place."""
    heir = _heir(folder)
    if not heir.exists() or (folder.exists() and any(each.name != "lock" for each in folder.iterdir())):
        return
    with suppress(FileNotFoundError):  # all that a service that started at that moment could leave
        (folder / "lock").unlink()
        folder.rmdir()
    heir.rename(folder)
    fsync(folder.parent)


def take_back(folder: Path, draft: Path) -> None:
    """Go back to the draft that an `exchange` was cut off with before it touched the old gallery in `folder`."""
    heir = _heir(folder)
    if heir.exists():
        heir.rename(draft)


def _heir(folder: Path) -> Path:
    """The name of a draft that is whole and about to take the gallery's place."""
    return folder.with_name(f"{folder.name}.next")


def fsync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_all(folder: Path) -> None:
    """Wait until every file of a folder, and their names, are on disk.

    Begun again where a file is gone: Edge makes the next file of its log under a passing name, in a thread of its own.
    Raises FileNotFoundError where the folder itself is gone.
    """
    while True:
        try:
            for path in (*folder.iterdir(), folder):
                fsync(path)
        except FileNotFoundError:
            if not folder.exists():
                raise
            continue
        return
