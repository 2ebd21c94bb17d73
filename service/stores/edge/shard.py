"""The owner of an embedded gallery's folder: its model, its faces and people, and the list of its galleries."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from service.errors import GalleryDamaged, StoreUnavailable
from service.files import make_private_folder, replace_file
from service.stores.contracts import require, require_key
from service.stores.edge import filters, integrity, upgrade
from service.stores.edge.durable_shard import DISK_RESERVE_BYTES, DurableShard
from service.stores.edge.faces import Faces
from service.stores.edge.findings import Findings
from service.stores.edge.folder import (
    FIELDS,
    LEDGER,
    FolderContract,
    Place,
    acquire,
    finish_replacement,
    read_contract,
    require_folder,
    write_contract,
)
from service.stores.edge.integrity import Opening
from service.stores.edge.ledger import NAME, Ledger
from service.stores.edge.people import People
from service.stores.edge.registry import listed, read_galleries, write_galleries
from service.stores.edge.seal import LINKS, break_seal, note_links, note_sums, write_seal
from service.stores.edge.upkeep import Upkeep, UpkeepRules
from service.values import DEFAULT_GALLERY, GalleryEntry, ModelContract

NO_UPKEEP = UpkeepRules()
"""Programs that are soon done leave all to those that serve."""


class Shard:
    """Holds the folder's lock from the constructor until `close`.

    `folder` gets `lock`, `contract.json`, `galleries.json`, `ledger.sqlite`, `erasure.json`, `seal.json`, `links.json`,
    `sums.json` and `shard/`.
    Nothing here may be called from two threads.
    """

    def __init__(
        self,
        folder: Path,
        disk_reserve_bytes: int = DISK_RESERVE_BYTES,
        opening: Opening = Opening.FIRST,
        rules: UpkeepRules = NO_UPKEEP,
    ) -> None:
        """Take the lock, load what is there, and compare it with what was left.

        Raises GalleryInUse, GalleryDamaged, or StoreUnavailable for a folder that can't be read.
        """
        self.findings = Findings()
        """What is wrong with a gallery that is opened for INSPECTING."""
        self._folder = folder
        self._shard = DurableShard(folder, disk_reserve_bytes)
        self.faces = Faces(self._shard)
        self.people = People(self._shard, self.faces)
        if opening is Opening.AGAIN:
            require_folder(folder)
        finish_replacement(folder)
        make_private_folder(folder)
        self._lock = acquire(folder)
        with suppress(PermissionError):  # an older version let others read; and it may be somebody else's
            folder.chmod(0o700)
        self._place = Place(folder)
        self._ledger: Ledger | None = None
        self.upkeep = Upkeep(folder, self._shard, rules)
        if opening is not Opening.INSPECTING:
            self._shard.make_room()  # opening needs some: for a file of the log of writes, and the ledger's
        try:
            self._load(opening)
        except GalleryDamaged as error:
            os.close(self._lock)
            raise self._damaged(error) from error

    def _load(self, opening: Opening) -> None:
        self._kept = read_contract(self._folder)
        self._galleries = read_galleries(self._folder)
        if self._kept is None:
            return
        dimension = self._kept.model.dimension
        if self._kept.fields < LEDGER and not (self._folder / NAME).exists():
            self._shard.load(dimension)  # an older version's, of which nothing is known
            return
        ledger, self.findings = integrity.load(self._folder, self._shard, dimension, opening)
        self._use(ledger)

    def _use(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._shard.keep_ledger(ledger)

    def _damaged(self, error: GalleryDamaged) -> GalleryDamaged:
        return GalleryDamaged(
            f"The gallery in {self._folder} is damaged: {error}; restore the folder from a backup, or see what is left "
            "of it with `python -m indexer check`."
        )

    @property
    def contract(self) -> ModelContract | None:
        """Which model the faces were made with, None for a new gallery."""
        return None if self._kept is None else self._kept.model

    @property
    def key_check(self) -> str | None:
        """Which key the faces are encrypted with, None where they aren't."""
        return None if self._kept is None else self._kept.key_check

    @property
    def has_unflushed(self) -> bool:
        """Whether there are writes that only the log of writes holds."""
        return self._shard.has_unflushed

    def bind(self, contract: ModelContract, *, face_id_bits: int, key_check: str | None = None) -> int:
        """See Store.bind; the bits that hold."""
        if self._kept is None:
            # First what counts the faces, then whose they are: a shard without these would be vectors of nobody knows
            # which model, or how many.
            self._use(self._new_ledger())
            kept = FolderContract(model=contract, face_id_bits=face_id_bits, fields=LEDGER, key_check=key_check)
            write_contract(self._folder, kept)
            self._shard.load(contract.dimension)
            self.upkeep.erasure.settle(None)
            self._kept = kept
        require(self._kept.model, contract, elsewhere="point FACE_DATA at a new folder")
        require_key(self._kept.key_check, key_check)
        if self._kept.fields < LEDGER:
            if self._kept.fields < FIELDS:
                upgrade.bring_up_to_date(self._shard)
            if self._ledger is None:
                self._use(integrity.build_ledger(self._folder, self._shard))
            self._kept = replace(self._kept, fields=LEDGER)
            write_contract(self._folder, self._kept)
        return self._kept.face_id_bits

    def galleries(self) -> list[GalleryEntry]:
        """See Store.galleries."""
        return listed(self._galleries)

    def create_gallery(self, name: str, created_at: datetime) -> bool:
        """See Store.create_gallery; on disk at once."""
        if name == DEFAULT_GALLERY or name in self._galleries:
            return False
        self._remove_faces(name)  # a registration may have come in while one of this name was removed
        self._keep({**self._galleries, name: GalleryEntry(name=name, created_at=created_at)})
        return True

    def remove_gallery(self, name: str) -> bool:
        """See Store.remove_gallery; on disk at once.

        The name goes last: cut off before, the gallery is still there to be removed again.
        """
        if name != DEFAULT_GALLERY and name not in self._galleries:
            return False
        self._remove_faces(name)
        if name != DEFAULT_GALLERY:
            self._keep({other: entry for other, entry in self._galleries.items() if other != name})
        return True

    def probe_write(self) -> None:
        """See Store.probe_write."""
        self._place.require()
        self._shard.require_room()
        replace_file(self._folder / "probe", "")

    def optimize(self) -> None:
        """See Store.optimize."""
        self.upkeep.cancel()
        self._shard.optimize()
        note_links(self._folder)
        note_sums(self._folder)

    def purge(self) -> None:
        """See Store.optimize, with `purge`."""
        self._bound()
        self.upkeep.renew()

    def sync(self) -> None:
        """Bring every write so far to the disk."""
        self._shard.sync()

    def flush(self) -> None:
        """Bring the segments up to date on disk, so that the log of writes shrinks and the next start is quick."""
        self._shard.flush()

    def accept(self, damaged: Sequence[int]) -> int:
        """Forget faces, and take the rest for what was registered; how many those are."""
        self.upkeep.cancel()
        if self._ledger is not None:
            self._ledger.close()
            self._shard.keep_ledger(None)
        self.faces.remove_some(damaged)
        upgrade.remake_indexes(self._shard)
        self._use(integrity.build_ledger(self._folder, self._shard))
        (self._folder / LINKS).unlink(missing_ok=True)
        break_seal(self._folder)
        self.findings = Findings()
        return self.faces.count()

    def close(self, *, seal: bool = True) -> None:
        """Flush, seal the gallery unless it is damaged, and give the folder up."""
        try:
            self.upkeep.cancel()
            whole = self._shard.close() and seal and not self.findings and self._ledger is not None
            if self._ledger is not None:
                self._ledger.close()
            if whole:
                write_seal(self._folder)
        finally:
            self.close_lock()

    def close_lock(self) -> None:
        """Give the folder up as it is."""
        os.close(self._lock)

    def _new_ledger(self) -> Ledger:
        try:
            return integrity.new_ledger(self._folder)
        except GalleryDamaged as error:
            raise self._damaged(error) from error

    def _remove_faces(self, gallery: str) -> None:
        self.faces.remove_all(filters.only(gallery))
        self._shard.sync()

    def _keep(self, galleries: dict[str, GalleryEntry]) -> None:
        write_galleries(self._folder, galleries, self._bound())
        self._galleries = galleries

    def _bound(self) -> Ledger:
        if self._ledger is None:
            raise StoreUnavailable("The gallery has not been bound to a model yet.")
        return self._ledger
