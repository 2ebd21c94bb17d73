"""The file of devices: who may do what, read anew when it changes, the last good state kept when it breaks."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from service.errors import InvalidDevices

log = logging.getLogger(__name__)

Operation = Literal["register", "recognise", "list", "delete"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
SECRET = re.compile(r"[!-~]{32,256}")
MAX_SECRETS = 2
_KEYS = {"secrets", "enabled", "operations", "note"}
_WATCH_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEntry:
    """One device: its one or two secrets, newest first, and which of OPERATIONS it may ask for."""

    id: str
    secrets: tuple[str, ...] = field(repr=False)
    enabled: bool = True
    operations: frozenset[str] = frozenset(OPERATIONS)
    note: str = ""


class DeviceRegistry:
    """The devices of a file; `reload` takes up a changed one, `watch` looks after it until cancelled."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidDevices, with one sentence on what to do, where the file can't be used."""
        self._path = path
        self._read_version = _version(path)  # before it is read: what changes meanwhile is read once more
        self._entries = read_devices(path)
        log.info("Requests must be signed by a device in %s (%d).", path, len(self._entries))

    def find(self, device_id: str) -> DeviceEntry | None:
        """The device of that id, enabled or not; None where there is none."""
        return self._entries.get(device_id)

    def reload(self) -> None:
        """Read the file again; one that can't be used changes nothing, and the log says why."""
        self._read_version = _version(self._path)
        try:
            self._entries = read_devices(self._path)
        except InvalidDevices as error:
            log.error("%s Until then the devices read before stay (%d).", error, len(self._entries))
        else:
            log.info("The devices in %s were read again (%d).", self._path, len(self._entries))

    async def watch(self) -> None:
        """Reload the file within a second or two of every change."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            if _version(self._path) != self._read_version:
                self.reload()


def read_devices(path: Path) -> dict[str, DeviceEntry]:
    """The devices of a file, by id. Raises InvalidDevices."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise InvalidDevices(
                    f"{path} holds secrets and others can read or change it; run `chmod 600 {path}` (or 640)."
                )
            tables = tomllib.loads(file.read().decode())
    except OSError as error:
        raise InvalidDevices(
            f"{path} can't be read ({error.strerror}); `python -m service devices add ID` makes the file."
        ) from None
    except ValueError as error:  # neither UTF-8 nor TOML
        raise InvalidDevices(f"{path} is not valid TOML; correct it: {_where(error)}.") from None
    if not tables:
        raise InvalidDevices(f"{path} names no device; add one with `python -m service devices add ID`.")
    return {device_id: _entry(path, device_id, table) for device_id, table in tables.items()}


def _entry(path: Path, device_id: str, table: Any) -> DeviceEntry:
    """One device's table, checked. Raises InvalidDevices, whose sentence never quotes a secret."""

    def check(holds: bool, rule: str) -> None:  # noqa: FBT001 - as in an assertion, the condition goes first
        if not holds:
            raise InvalidDevices(f"{path}: {rule} (device {device_id!r}).")

    check(ID.fullmatch(device_id) is not None, "an id is 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`")
    check(isinstance(table, Mapping), "a device is a table such as `[door-7]`; quote an id that has dots or colons")
    unknown = sorted(set(table) - _KEYS)
    check(not unknown, f"a device has `secrets`, `enabled`, `operations` and `note`, not `{', '.join(unknown)}`")
    secrets, enabled = table.get("secrets"), table.get("enabled", True)
    operations, note = table.get("operations", list(OPERATIONS)), table.get("note", "")
    check(
        isinstance(secrets, list)
        and 1 <= len(secrets) <= MAX_SECRETS
        and all(isinstance(each, str) and SECRET.fullmatch(each) for each in secrets),
        "`secrets` is a list of one or two texts of 32 to 256 printable ASCII characters without spaces",
    )
    check(isinstance(enabled, bool), "`enabled` is true or false")
    check(
        isinstance(operations, list) and all(each in OPERATIONS for each in operations),
        f"`operations` is a list of some of {', '.join(OPERATIONS)}",
    )
    check(isinstance(note, str), "`note` is a text")
    return DeviceEntry(
        id=device_id, secrets=tuple(secrets), enabled=enabled, operations=frozenset(operations), note=note
    )


def _where(error: ValueError) -> str:
    """The place of a mistake, never the text there: it may be part of a secret."""
    if isinstance(error, UnicodeDecodeError):
        return "save it as UTF-8"
    place = re.search(r"at line \d+, column \d+", str(error))
    return f"look {place[0]}" if place else "look at its end"


def _version(path: Path) -> tuple[int, ...] | None:
    """What differs after every change of a file; None where it can't be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
