"""The embedded gallery's folder: who owns it, and which model its faces were made with."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.errors import GalleryInUse, StoreUnavailable
from service.files import fsync, lock, open_lock, rename_durably, replace_file
from service.stores.contracts import from_mapping, to_mapping
from service.values import MAX_FACE_ID, ModelContract

FIELDS, LEDGER = 2, 3
"""Versions of the contract: before FIELDS faces had neither galleries nor people, before LEDGER there was none."""

LOCK_LIMIT_S = 3.0
"""A service that was just killed needs a moment to leave before its successor finds the folder free."""


def is_there(folder: Path) -> bool:
    """Whether a gallery is in the folder, or is about to take its place; opening it makes one otherwise."""
    return folder.is_dir() or _staged(folder).is_dir()


def acquire(folder: Path) -> int:
    """The descriptor of the folder's lock; the system gives it up when this process ends, however it ends.

    Raises GalleryInUse when another process keeps it for longer than LOCK_LIMIT_S.
    """
    descriptor = open_lock(folder / "lock")
    try:
        lock(descriptor, LOCK_LIMIT_S)
    except BlockingIOError:
        os.close(descriptor)
        raise GalleryInUse(
            f"The gallery in {folder} is open in another process; stop that one, or give this one a folder of its "
            "own with FACE_DATA."
        ) from None
    return descriptor


class Place:
    """Where a folder was when it was opened: its files stay open when it is moved or deleted, and nobody finds them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._was = _identity(folder)

    def require(self) -> None:
        """Raise StoreUnavailable where the folder is gone, or another one is in its place."""
        if _identity(self._folder) != self._was:
            raise _gone(self._folder)


def require_folder(folder: Path) -> None:
    """Raise StoreUnavailable where a gallery that was open a moment ago has no folder any more.

    A new one in its place would be taken for the gallery, by whoever puts the old one back and by the next start.
    """
    if not is_there(folder):
        raise _gone(folder)


def _gone(folder: Path) -> StoreUnavailable:
    return StoreUnavailable(
        f"The gallery's folder {folder} was deleted or moved while the service ran; put it back, and restart the "
        "service."
    )


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContract:
    """What `contract.json` says: the model, how large numbers of faces are, and which fields the faces have.

    `fields` counts the versions of that; it is less than LEDGER where the gallery is still to be brought up to date.
    `key_check` tells with which key it is encrypted, None: it isn't.
    """

    model: ModelContract
    face_id_bits: int
    fields: int
    key_check: str | None = None


def read_contract(folder: Path) -> FolderContract | None:
    """What `contract.json` says, None for a new gallery.

    Raises StoreUnavailable for one that can't be read, or is missing beside a shard.
    """
    path = folder / "contract.json"
    try:
        mapping = json.loads(path.read_text("utf-8"))
        # An older version of this service wrote neither.
        bits, fields = mapping.pop("face_id_bits", MAX_FACE_ID.bit_length()), mapping.pop("fields", 1)
        if (bits, fields) != (int(bits), int(fields)):
            raise ValueError("face_id_bits or fields is no whole number")
        key_check = mapping.pop("key_check", None)
        if not isinstance(key_check, str | None):
            raise ValueError("key_check is no text")
        return FolderContract(model=from_mapping(mapping), face_id_bits=bits, fields=fields, key_check=key_check)
    except FileNotFoundError:
        if (folder / "shard").exists():
            raise StoreUnavailable(
                f"{path} is missing, so nobody knows which model the faces beside it were made with; put it back."
            ) from None
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreUnavailable(f"{path} can't be read as a model contract; restore it from a backup.") from error


def write_contract(folder: Path, contract: FolderContract) -> None:
    """Write `contract.json`: either all of it is on disk afterwards, or none."""
    mapping = {**to_mapping(contract.model), "face_id_bits": contract.face_id_bits, "fields": contract.fields}
    if contract.key_check is not None:
        mapping["key_check"] = contract.key_check  # which an older version refuses, as it must
    replace_file(folder / "contract.json", json.dumps(mapping, indent=2) + "\n")


def replace_gallery(folder: Path, new: Path) -> Path:
    """Put the gallery in the folder `new` in the place of the one in `folder`; where that one is afterwards.

    Both must be closed. Cut off at any moment, `folder` is the old one, or it is nothing and `finish_replacement` makes
    it the new one. Raises GalleryInUse for a gallery that was opened meanwhile.
    """
    for path in (*new.rglob("*"), new):
        fsync(path)
    old = folder.with_name(f"{folder.name}.old-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    descriptor = acquire(folder)
    try:
        rename_durably(new, _staged(folder))
        folder.rename(old)
        finish_replacement(folder)
    finally:
        os.close(descriptor)
    return old


def finish_replacement(folder: Path) -> None:
    """Finish a `replace_gallery` that was cut off when the old gallery was away and the new one not yet in place."""
    staged = _staged(folder)
    if not staged.exists() or (folder.exists() and any(each.name != "lock" for each in folder.iterdir())):
        return
    with suppress(FileNotFoundError):  # all that a service that started at that moment could leave
        (folder / "lock").unlink()
        folder.rmdir()
    rename_durably(staged, folder)


def undo_replacement(folder: Path, new: Path) -> None:
    """Go back to the folder `new` of a `replace_gallery` that was cut off before it touched the gallery in `folder`."""
    staged = _staged(folder)
    if staged.exists():
        staged.rename(new)


def _staged(folder: Path) -> Path:
    """The name of a new gallery that is whole and about to take the place of the one in `folder`."""
    return folder.with_name(f"{folder.name}.next")
