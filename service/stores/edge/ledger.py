"""The ledger of an embedded gallery: a short digest of each face beside the shard, by which a damaged shard is known.

A write is announced before the shard gets it, and settled once it is on disk there, before it is answered. So a face
that is neither announced nor as the ledger says is damaged, lost, or back from the dead, however the process ended; one
that is announced may be as it was or as it was to be.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from service.errors import GalleryDamaged, StoreUnavailable

NAME = "ledger.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS faces (face_id INTEGER PRIMARY KEY, digest INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS announced (face_id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, digest TEXT NOT NULL, next TEXT);
CREATE TABLE IF NOT EXISTS boots (boot TEXT PRIMARY KEY);
"""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def digest_of(face_id: int, vector: Any, payload: Mapping[str, Any]) -> int:
    """64 bits of everything that is kept of a face, signed as SQLite's numbers are."""
    rest = {key: value for key, value in payload.items() if key != "picture"}
    text = f"{face_id} {json.dumps(rest, sort_keys=True)} {payload.get('picture')}"
    both = np.array(vector, np.float32).tobytes() + text.encode()
    return int.from_bytes(hashlib.blake2b(both, digest_size=8).digest(), "big", signed=True)


class Ledger:
    """Open from the constructor to `close`. Its methods raise StoreUnavailable where the disk fails them."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises GalleryDamaged for one that can't be read."""
        self._path = path
        try:
            self._database = _connect(path)
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(
                f"{path} can't be written ({error}); free some space, or mend its rights."
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def announce(self, face_ids: Iterable[int], *, durably: bool) -> None:
        """Say that faces are about to change; `durably` waits until a power cut can't undo that."""
        self._write([("INSERT OR IGNORE INTO announced VALUES (?)", [(each,) for each in face_ids])], durably=durably)

    def settle(self, digests: Mapping[int, int | None]) -> None:
        """Keep what faces have become, None for those that are gone; on disk once it returns."""
        there = [(face_id, digest) for face_id, digest in digests.items() if digest is not None]
        gone = [(face_id,) for face_id, digest in digests.items() if digest is None]
        self._write(
            [
                ("INSERT OR REPLACE INTO faces VALUES (?, ?)", there),
                ("DELETE FROM faces WHERE face_id = ?", gone),
                ("DELETE FROM announced WHERE face_id = ?", [(each,) for each in digests]),
            ],
            durably=True,
        )

    def digests(self) -> dict[int, int]:
        """Of every face."""
        return dict(self._read("SELECT face_id, digest FROM faces"))

    def announced(self) -> set[int]:
        """The faces that were about to change when the process ended."""
        return {face_id for (face_id,) in self._read("SELECT face_id FROM announced")}

    def count(self) -> int:
        """How many faces there should be."""
        return int(self._read("SELECT count(*) FROM faces")[0][0])

    def announce_text(self, name: str, text: str) -> None:
        """Say that a file beside the shard is about to get this text."""
        digest = _digest_of_text(text)
        self._write(
            [
                ("INSERT OR IGNORE INTO texts VALUES (?, '', NULL)", [(name,)]),
                ("UPDATE texts SET next = ? WHERE name = ?", [(digest, name)]),
            ],
            durably=True,
        )

    def settle_text(self, name: str) -> None:
        """Say that it has it."""
        self._write([("UPDATE texts SET digest = next WHERE name = ?", [(name,)])], durably=True)

    def knows_text(self, name: str, text: str | None) -> bool:
        """Whether a file may have this text, None for a file that isn't there."""
        rows = self._read("SELECT digest, next FROM texts WHERE name = ?", name)
        return (rows[0] if rows else ("", None)).count("" if text is None else _digest_of_text(text)) > 0

    def note_boot(self) -> bool:
        """Whether the machine has been started since this was called last, which a power cut may be behind."""
        boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
        former = self._read("SELECT boot FROM boots")
        self._write([("DELETE FROM boots", [()]), ("INSERT INTO boots VALUES (?)", [(boot,)])], durably=True)
        return not boot or (boot,) not in former

    def close(self) -> None:
        """Bring everything into the one file."""
        self._database.close()

    def _read(self, query: str, *values: str) -> list[Any]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _write(self, statements: list[tuple[str, list[Any]]], *, durably: bool) -> None:
        try:
            self._database.execute(f"PRAGMA synchronous = {'FULL' if durably else 'OFF'}")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in statements:
                    self._database.executemany(statement, rows)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(
                f"The gallery's ledger can't be written ({error}), so nothing was changed; free some space on its "
                "disk, and repeat the request."
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: sqlite3.DatabaseError) -> GalleryDamaged:
        return GalleryDamaged(f"{self._path} is damaged ({error})")


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        # Nobody else may open it, so no memory is mapped, which on a full disk would end the process.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA secure_delete = ON")  # the numbers of removed faces go from the file, too
        database.executescript(_TABLES)
    except BaseException:
        database.close()
        raise
    return database


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
