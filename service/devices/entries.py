"""A file that says who may ask: tables of TOML by name, read anew when it changes, the last good state kept."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from service.errors import FaceServiceError

log = logging.getLogger(__name__)

GALLERY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a gallery can be called."""
_WATCH_INTERVAL_S = 1.0

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[Entry]):
    """What such a file is about.

    `noun` is what one entry is called, `add` the command that adds one, `members` what a table may hold. `error` is
    raised where the file can't be used. `read` makes an entry of a table that has no other members, and checks it with
    the `Rules` that it is given.
    """

    noun: str
    add: str
    members: tuple[str, ...]
    error: type[FaceServiceError]
    name: re.Pattern[str]
    name_rule: str
    read: Callable[[str, Mapping[str, Any], Rules], Entry]
    check_all: Callable[[Mapping[str, Entry], Path], None] = lambda _entries, _path: None


@dataclass(frozen=True, slots=True)
class Rules:
    """Refuses a table that doesn't hold to a rule, in a sentence that never quotes what stands there."""

    path: Path
    kind: Kind[Any]
    name: str

    def check(self, holds: bool, rule: str) -> None:  # noqa: FBT001 - as in an assertion, the condition goes first
        """Raise the kind's error unless the rule holds."""
        if not holds:
            raise self.kind.error(f"{self.path}: {rule} ({self.kind.noun} {self.name!r}).")


class EntryFile(Generic[Entry]):
    """The entries of a file; `reload` takes up a changed one, `watch` looks after it until cancelled."""

    def __init__(self, path: Path, kind: Kind[Entry]) -> None:
        """Raises the kind's error, with one sentence on what to do, where the file can't be used."""
        self._path = path
        self._kind = kind
        self._read_version = _version(path)  # before it is read: what changes meanwhile is read once more
        self.entries = read_entries(path, kind)
        """By name."""
        log.info("Requests are let in by the %ss in %s (%d).", kind.noun, path, len(self.entries))

    def reload(self) -> None:
        """Read the file again; one that can't be used changes nothing, and the log says why."""
        noun = self._kind.noun
        self._read_version = _version(self._path)
        try:
            self.entries = read_entries(self._path, self._kind)
        except self._kind.error as error:
            log.error("%s Until then the %ss read before stay (%d).", error, noun, len(self.entries))
        else:
            log.info("The %ss in %s were read again (%d).", noun, self._path, len(self.entries))

    async def watch(self) -> None:
        """Reload the file within a second or two of every change."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            if _version(self._path) != self._read_version:
                self.reload()


def read_entries(path: Path, kind: Kind[Entry]) -> dict[str, Entry]:
    """The entries of a file, by name. Raises the kind's error."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise kind.error(
                    f"{path} holds secrets and others can read or change it; run `chmod 600 {path}` (or 640)."
                )
            tables = tomllib.loads(file.read().decode())
    except OSError as error:
        raise kind.error(f"{path} can't be read ({error.strerror}); `{kind.add}` makes the file.") from None
    except (ValueError, RecursionError) as error:  # neither UTF-8 nor TOML
        raise kind.error(f"{path} is not valid TOML; correct it: {_where(error)}.") from None
    if not tables:
        raise kind.error(f"{path} names no {kind.noun}; add one with `{kind.add}`.")
    entries = {name: _entry(path, kind, name, table) for name, table in tables.items()}
    kind.check_all(entries, path)
    return entries


def _entry(path: Path, kind: Kind[Entry], name: str, table: Any) -> Entry:
    rules = Rules(path, kind, name)
    rules.check(kind.name.fullmatch(name) is not None, kind.name_rule)
    a = f"a {kind.noun} is a table such as `[door-7]`; quote a name that has dots or colons"
    rules.check(isinstance(table, Mapping), a)
    unknown = sorted(set(table) - set(kind.members))
    known = ", ".join(f"`{each}`" for each in kind.members[:-1]) + f" and `{kind.members[-1]}`"
    rules.check(not unknown, f"a {kind.noun} has {known}, not `{', '.join(unknown)}`")
    rules.check(isinstance(table.get("enabled", True), bool), "`enabled` is true or false")
    rules.check(isinstance(table.get("note", ""), str), "`note` is a text")
    return kind.read(name, table, rules)


def _where(error: Exception) -> str:
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
