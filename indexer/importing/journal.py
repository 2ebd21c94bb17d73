"""Remembers which files were imported and what became of them, so that the next run needn't process them again.

It only saves time: it may be deleted at any moment, and is written after the gallery's answer, so that it never claims
what the gallery doesn't have.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Self

from indexer.importing.outcomes import Outcome
from indexer.importing.photo_files import Photo
from service.errors import FaceServiceError
from service.files import make_private_folder

log = logging.getLogger(__name__)

BUSY_LIMIT_S = 30.0
"""How long another process may hold the journal; several may import into the gallery of one Qdrant server."""

_TABLES = """
CREATE TABLE IF NOT EXISTS photos (
    path BLOB PRIMARY KEY,  -- absolute
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    terms BLOB NOT NULL,    -- digest of the remark and of what else decides the outcome
    sha256 BLOB NOT NULL,   -- of the file; empty where it wasn't read
    outcome TEXT NOT NULL,
    face_ids TEXT NOT NULL, -- JSON
    reason TEXT NOT NULL,
    final INTEGER NOT NULL  -- 0: it may pass, so the next run tries again
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contents ON photos (sha256, terms);
"""


_ENROLLED = (Outcome.REGISTERED.value, Outcome.KNOWN.value)


class JournalUnavailable(FaceServiceError):
    """The journal's file can't be written."""

    code = "journal_unavailable"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a photo; `sha256` is hex, empty where it wasn't read. One that isn't `final` may change."""

    photo: Photo
    sha256: str
    outcome: Outcome
    _: KW_ONLY
    face_ids: tuple[int, ...] = ()
    reason: str = ""
    final: bool = True


class Journal:
    """A SQLite file; all calls take well under a millisecond a photo, and come from one thread."""

    def __init__(self, connection: sqlite3.Connection, terms: str, *, writing: bool) -> None:
        self._connection = connection
        self._terms = terms
        self._writing = writing

    @classmethod
    def open(cls, path: Path, terms: str, *, writing: bool = True) -> Self:
        """Open or make it; `terms` is all but the remark that decides what becomes of a photo.

        Unless `writing`, nothing is changed, and where there is no file, none is made. A file that isn't a journal any
        more is put aside. Raises JournalUnavailable.
        """
        if not (writing or path.exists()):
            return cls(_connect(":memory:"), terms, writing=writing)
        try:
            make_private_folder(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            try:
                connection = _connect(path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                log.warning("The journal %s is damaged (%s); all photos are processed again.", path, error)
                path.replace(path.with_name(f"{path.name}.damaged"))
                connection = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise JournalUnavailable(f"The journal {path} can't be written ({error}); is its folder yours?") from None
        return cls(connection, terms, writing=writing)

    def close(self) -> None:
        """Close the file; what was recorded is on the disk already."""
        self._connection.close()

    def is_empty(self) -> bool:
        """Whether it claims no face."""
        return not self._rows("SELECT 1 FROM photos WHERE outcome IN (?, ?) LIMIT 1", _ENROLLED)

    def clear(self) -> None:
        """Forget everything."""
        self._write("DELETE FROM photos", [()])

    def forget_transient(self) -> None:
        """Forget what isn't final, so that it is tried again."""
        self._write("DELETE FROM photos WHERE NOT final", [()])

    def find(self, photo: Photo) -> Entry | None:
        """What became of this file, unless its size, time or remark is another now."""
        rows = self._rows(
            "SELECT sha256, outcome, face_ids, reason, final FROM photos"
            " WHERE path = ? AND size = ? AND modified_ns = ? AND terms = ?",
            (_key(photo), photo.size, photo.modified_ns, self._terms_of(photo)),
        )
        for sha256, outcome, face_ids, reason, final in rows:
            return Entry(
                photo,
                sha256.hex(),
                Outcome(outcome),
                face_ids=tuple(json.loads(face_ids)),
                reason=reason,
                final=bool(final),
            )
        return None

    def find_content(self, photo: Photo, sha256: str) -> Entry | None:
        """The same for the file's bytes, wherever they were when their faces were registered."""
        rows = self._rows(
            "SELECT face_ids FROM photos WHERE sha256 = ? AND terms = ? AND outcome IN (?, ?) LIMIT 1",
            (bytes.fromhex(sha256), self._terms_of(photo), *_ENROLLED),
        )
        for (face_ids,) in rows:
            return Entry(photo, sha256, Outcome.KNOWN, face_ids=tuple(json.loads(face_ids)))
        return None

    def record(self, entries: Iterable[Entry]) -> None:
        """Write all of them or none."""
        self._write(
            "INSERT OR REPLACE INTO photos VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(_key(each.photo), each.photo.size, each.photo.modified_ns, self._terms_of(each.photo)),
                    *(bytes.fromhex(each.sha256), each.outcome.value, json.dumps(each.face_ids), each.reason),
                    each.final,
                )
                for each in entries
            ],
        )

    def _terms_of(self, photo: Photo) -> bytes:
        return hashlib.sha256(f"{self._terms}\n{photo.remark}".encode()).digest()[:16]

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        try:
            rows: list[Any] = self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise JournalUnavailable(f"The journal can't be read ({error}); delete it and run again.") from None
        return rows

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        if not self._writing:
            return
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise JournalUnavailable(f"The journal can't be written ({error}); make room and run again.") from None


def _connect(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_LIMIT_S)
    try:
        # Enough to outlive a killed process; what a power cut takes is processed again.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with closing(connection.cursor()) as cursor:
            cursor.executescript(_TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def _key(photo: Photo) -> bytes:
    return os.fsencode(photo.path.absolute())
