"""The file of the audit trail: SQLite, readable by its owner alone, in which names that are erased are overwritten."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.audit.events import Erasure, Event, Renaming, Selection, Subject
from service.errors import AuditUnavailable
from service.files import make_private_folder

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,            -- microseconds since 1970
        request_id TEXT NOT NULL UNIQUE,
        caller TEXT NOT NULL,
        client TEXT NOT NULL,
        operation TEXT NOT NULL,
        route TEXT NOT NULL,
        gallery TEXT,
        outcome TEXT
    );
    CREATE INDEX IF NOT EXISTS events_at ON events (at);
    CREATE TABLE IF NOT EXISTS subjects (
        event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
        gallery TEXT,
        remark TEXT,
        face_id INTEGER,
        score REAL,
        erased INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX IF NOT EXISTS subjects_event ON subjects (event);
    CREATE INDEX IF NOT EXISTS subjects_remark ON subjects (gallery, remark);
    CREATE INDEX IF NOT EXISTS subjects_face ON subjects (gallery, face_id);
"""
BUSY_S = 5.0
"""Longest wait for another process that writes the same file."""
UNFINISHED_S = 300
"""For so long an event without an outcome holds back those behind it: its outcome may still come."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TrailFile:
    """A connection for one thread. Every method raises AuditUnavailable where the file can't be used."""

    def __init__(self, path: Path) -> None:
        """Make the file where there is none, of mode 0600; what is in the file is durable once `commit` returns."""
        self._path = path
        with self._told():
            make_private_folder(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._inode = path.stat().st_ino
            self._db = _connect(path)

    def write(self, steps: Sequence[Callable[[TrailFile], None]]) -> None:
        """Take some steps together: all are on the disk when this returns, or none is."""
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for step in steps:
                    step(self)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def put(self, event: Event) -> None:
        """Write an event, in the place of what its request has there already."""
        values = (event.caller, event.client, event.operation, event.route, event.gallery, event.outcome)
        found = self._db.execute("SELECT number FROM events WHERE request_id = ?", (event.request_id,)).fetchone()
        if found is None:
            number = self._db.execute(
                "INSERT INTO events (at, request_id, caller, client, operation, route, gallery, outcome) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (_microseconds(event.at), event.request_id, *values),
            ).lastrowid
        else:
            number = found[0]
            self._db.execute("UPDATE events SET gallery = ?, outcome = ? WHERE number = ?", (*values[4:], number))
            self._db.execute("DELETE FROM subjects WHERE event = ?", (number,))
        self._db.executemany(
            "INSERT INTO subjects (event, gallery, remark, face_id, score) VALUES (?, ?, ?, ?, ?)",
            [(number, event.gallery, _text(each.remark), each.face_id, each.score) for each in event.subjects],
        )

    def erase(self, erasure: Erasure) -> None:
        """Take names out of every event; the numbers of faces stay, which are nobody's from then on."""
        where, values = _about(erasure.gallery, erasure.remark, erasure.face_id)
        self._db.execute(f"UPDATE subjects SET remark = NULL, erased = 1 WHERE {where}", values)  # noqa: S608 - our own words

    def rename(self, renaming: Renaming) -> None:
        """Give a person, or a face, the new name in every event, so that erasing it later finds all of them."""
        where, values = _about(renaming.gallery, renaming.remark, renaming.face_id)
        self._db.execute(
            f"UPDATE subjects SET remark = ? WHERE {where} AND erased = 0",  # noqa: S608 - our own words
            (_text(renaming.new), *values),
        )

    def forget_before(self, time: datetime) -> None:
        """Delete events that are older."""
        self._db.execute("DELETE FROM events WHERE at < ?", (_microseconds(time),))

    def shrink(self) -> None:
        """Have the log of writes overwritten too, so that no name stays there; left out while others read."""
        with self._told():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def page(self, wanted: Selection, now: datetime) -> list[Event]:
        """The oldest events of a selection, by their numbers."""
        open_since = _microseconds(now - timedelta(seconds=UNFINISHED_S))
        where = [
            "number > ?",
            "number < coalesce((SELECT min(number) FROM events WHERE outcome IS NULL AND at > ?), 1 << 62)",
        ]
        values: list[Any] = [wanted.after, open_since]
        if wanted.galleries is not None:
            where.append(f"gallery IN ({', '.join('?' * len(wanted.galleries))})")
            values += sorted(wanted.galleries)
        if wanted.remark is not None:
            where.append("number IN (SELECT event FROM subjects WHERE remark = ?)")
            values.append(_text(wanted.remark))
        if wanted.caller is not None:
            where.append("caller = ?")
            values.append(wanted.caller)
        with self._told():
            names = "number, at, request_id, caller, client, operation, route, gallery, outcome"
            chosen = f"SELECT {names} FROM events WHERE {' AND '.join(where)} ORDER BY number LIMIT ?"  # noqa: S608 - our own words
            rows = self._db.execute(chosen, (*values, wanted.limit)).fetchall()
            return [self._event(*row) for row in rows]

    def is_in_place(self) -> bool:
        """Whether the path still names this file: what is written into one that was removed is lost."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _event(self, number: int, at: int, *texts: str | None) -> Event:
        request_id, caller, client, operation, route, gallery, outcome = texts
        subjects = self._db.execute(
            "SELECT remark, face_id, score, erased FROM subjects WHERE event = ? ORDER BY rowid", (number,)
        )
        return Event(
            number=number,
            at=_EPOCH + timedelta(microseconds=at),
            request_id=str(request_id),
            caller=str(caller),
            client=str(client),
            operation=str(operation),
            route=str(route),
            gallery=gallery,
            outcome=outcome,
            subjects=tuple(
                Subject(remark=remark, face_id=face_id, score=score, erased=bool(erased))
                for remark, face_id, score, erased in subjects
            ),
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise AuditUnavailable(
                f"The audit trail FACE_AUDIT={str(self._path)!r} can't be used ({error}); mend the file or its disk."
            ) from error


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            database.execute(f"PRAGMA {pragma}")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _about(gallery: str, remark: str | None, face_id: int | None) -> tuple[str, tuple[Any, ...]]:
    """A condition, and its values; the gallery of a request that wasn't finished may be unknown."""
    if remark is not None:
        return "(gallery = ? OR gallery IS NULL) AND remark = ?", (gallery, _text(remark))
    if face_id is not None:
        return "(gallery = ? OR gallery IS NULL) AND face_id = ?", (gallery, face_id)
    return "gallery = ?", (gallery,)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _text(remark: str | None) -> str | None:
    """As SQLite keeps it: halves of surrogate pairs, which a request may bring, are no characters."""
    return None if remark is None else remark.encode("utf-8", "replace").decode()
