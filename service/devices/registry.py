"""The file of devices: their secrets, and what each of them may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.devices.entries import GALLERY, EntryFile, Kind, Rules, read_entries
from service.devices.operations import DEVICE_OPERATIONS
from service.errors import InvalidDevices
from service.values import DEFAULT_GALLERY

ID = re.compile(r"(?!key:)[A-Za-z0-9._:-]{1,64}")
"""`key:` begins the names of keys in the log."""
SECRET = re.compile(r"[!-~]{32,256}")
MAX_SECRETS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEntry:
    """One device: its one or two secrets, newest first, which of DEVICE_OPERATIONS it may ask for, and its gallery."""

    id: str
    secrets: tuple[str, ...] = field(repr=False)
    enabled: bool = True
    operations: frozenset[str] = frozenset(DEVICE_OPERATIONS)
    gallery: str = DEFAULT_GALLERY
    note: str = ""


class DeviceRegistry(EntryFile[DeviceEntry]):
    """The devices of a file."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidDevices, with one sentence on what to do, where the file can't be used."""
        super().__init__(path, DEVICES)

    def find(self, device_id: str) -> DeviceEntry | None:
        """The device of that id, enabled or not; None where there is none."""
        return self.entries.get(device_id)


def read_devices(path: Path) -> dict[str, DeviceEntry]:
    """The devices of a file, by id. Raises InvalidDevices."""
    return read_entries(path, DEVICES)


def _device(device_id: str, table: Mapping[str, Any], rules: Rules) -> DeviceEntry:
    secrets, operations = table.get("secrets"), table.get("operations", list(DEVICE_OPERATIONS))
    gallery = table.get("gallery", DEFAULT_GALLERY)
    rules.check(
        isinstance(secrets, list)
        and 1 <= len(secrets) <= MAX_SECRETS
        and all(isinstance(each, str) and SECRET.fullmatch(each) for each in secrets),
        "`secrets` is a list of one or two texts of 32 to 256 printable ASCII characters without spaces",
    )
    rules.check(
        isinstance(operations, list) and all(each in DEVICE_OPERATIONS for each in operations),
        f"`operations` is a list of some of {', '.join(DEVICE_OPERATIONS)}",
    )
    rules.check(isinstance(gallery, str) and GALLERY.fullmatch(gallery) is not None, "`gallery` is a gallery's name")
    return DeviceEntry(
        id=device_id,
        secrets=tuple(secrets or ()),
        enabled=table.get("enabled", True),
        operations=frozenset(operations),
        gallery=gallery,
        note=table.get("note", ""),
    )


DEVICES = Kind(
    noun="device",
    add="python -m service devices add ID",
    members=("secrets", "enabled", "operations", "gallery", "note"),
    error=InvalidDevices,
    name=ID,
    name_rule="an id is 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`, and doesn't begin with `key:`",
    read=_device,
)
