"""The file of keys: the SHA-256 of each key, which operations it opens, and in which galleries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from service.devices.entries import GALLERY, EntryFile, Kind, Rules, read_entries
from service.devices.operations import OPERATIONS
from service.errors import InvalidKeys

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
KEY = re.compile(r"fsk_[A-Za-z0-9_-]{43}")
"""A key as it is presented: 32 random bytes, so that nobody can find it from its digest."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One key: the digest by which it is known, which of OPERATIONS it opens, and in which galleries (None: all)."""

    name: str
    sha256: str = field(repr=False)
    operations: frozenset[str]
    galleries: frozenset[str] | None = None
    enabled: bool = True
    note: str = ""
    created_at: datetime | None = None


class KeyRegistry(EntryFile[KeyEntry]):
    """The keys of a file."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidKeys, with one sentence on what to do, where the file can't be used."""
        super().__init__(path, KEYS)

    def find(self, key: str) -> KeyEntry | None:
        """The entry of a key, enabled or not; None where there is none, found out in the same time as any other."""
        presented, found = digest_of(key), None
        for entry in self.entries.values():
            if hmac.compare_digest(entry.sha256, presented):
                found = entry
        return found


def new_key() -> str:
    """A key that nobody has yet."""
    return f"fsk_{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"


def digest_of(key: str) -> str:
    """What the file keeps of a key: the lower-case hex SHA-256 of its text."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> dict[str, KeyEntry]:
    """The keys of a file, by name. Raises InvalidKeys."""
    return read_entries(path, KEYS)


def _key(name: str, table: Mapping[str, Any], rules: Rules) -> KeyEntry:
    sha256, operations, galleries = table.get("sha256"), table.get("operations"), table.get("galleries")
    created_at = table.get("created_at")
    rules.check(
        isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None,
        "`sha256` is the digest of the key, as 64 lower-case hex digits; it is not the key itself",
    )
    rules.check(
        isinstance(operations, list) and all(each in OPERATIONS for each in operations),
        f"`operations` is a list of some of {', '.join(OPERATIONS)}",
    )
    rules.check(
        galleries is None
        or (
            isinstance(galleries, list) and all(isinstance(each, str) and GALLERY.fullmatch(each) for each in galleries)
        ),
        "`galleries` is a list of galleries' names; without it the key opens all",
    )
    rules.check(
        created_at is None or (isinstance(created_at, datetime) and created_at.tzinfo is not None),
        "`created_at` is a time with its zone, such as 2026-11-26T10:00:00Z",
    )
    return KeyEntry(
        name=name,
        sha256=str(sha256),
        operations=frozenset(operations or ()),
        galleries=None if galleries is None else frozenset(galleries),
        enabled=table.get("enabled", True),
        note=table.get("note", ""),
        created_at=created_at,
    )


def _each_once(entries: Mapping[str, KeyEntry], path: Path) -> None:
    """Two names for one key would leave it open which of them holds."""
    if len({each.sha256 for each in entries.values()}) < len(entries):
        raise InvalidKeys(f"{path} has the same `sha256` twice; each key has one name.")


KEYS = Kind(
    noun="key",
    add="python -m service keys add NAME",
    members=("sha256", "enabled", "operations", "galleries", "note", "created_at"),
    error=InvalidKeys,
    name=NAME,
    name_rule="a name is 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`",
    read=_key,
    check_all=_each_once,
)
