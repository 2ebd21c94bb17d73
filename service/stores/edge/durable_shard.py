"""A shard of Qdrant Edge: made, loaded, written to so that it outlives power cuts; only in the store's own process."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qdrant_edge as qdrant

from service.errors import GalleryDamaged, GalleryInUse, StoreUnavailable
from service.files import fsync_files
from service.stores.edge.compaction import copy_shard, finish_switch, switch_shards
from service.stores.edge.folder import Place
from service.stores.edge.ledger import Ledger
from service.stores.edge.new_shards import configuration, create_in_place, new_shard
from service.stores.edge.reserve import Reserve, is_full
from service.stores.edge.verification import digests_now

log = logging.getLogger(__name__)

DISK_RESERVE_BYTES = 128 * 2**20
"""Edge writes through memory maps, where a full disk is not an error but a SIGBUS; so adding stops well before."""

FLUSH_EVERY = 1000
"""Writes between two flushes under steady load; Edge drops its log of writes only when it is flushed."""


class DurableShard:
    """The shard in a gallery's folder; closed until it is loaded, and not to be called from two threads."""

    def __init__(self, folder: Path, disk_reserve_bytes: int = DISK_RESERVE_BYTES) -> None:
        """`folder` gets `shard/`, and adding stops where its disk has less left than the reserve."""
        self._folder = folder
        self._reserve = disk_reserve_bytes
        self._room = Reserve(folder)
        self._place: Place | None = None
        self.dimension = 0
        """Numbers of each embedding, once it is loaded."""
        self._edge: qdrant.EdgeShard | None = None
        self._ledger: Ledger | None = None
        self.before_change: Callable[[Sequence[int]], None] | None = None
        """Told which faces each write is about, before it is made."""
        self.before_erasure: Callable[[], None] | None = None
        """Told before something of a face goes."""
        self._unsettled: set[int] = set()
        self._unsynced = True  # a killed predecessor may have left writes that only the page cache holds
        self._unflushed = 0

    @property
    def edge(self) -> qdrant.EdgeShard:
        """To be asked; what is written goes through `update`. Raises StoreUnavailable before it is loaded."""
        if self._edge is None:
            raise StoreUnavailable("The gallery has not been bound to a model yet.")
        return self._edge

    @property
    def has_unflushed(self) -> bool:
        """Whether there are writes that only the log of writes holds."""
        return self._unflushed > 0

    @property
    def is_loaded(self) -> bool:
        """Whether it can be asked."""
        return self._edge is not None

    def exists(self) -> bool:
        """Whether there is one to be loaded."""
        return (self._folder / "shard").exists()

    def make_room(self) -> None:
        """Give up the reserve where hardly any room is left beside it."""
        self._room.give_up_if_low()

    def load(self, dimension: int) -> None:
        """Load the shard, or make it where there is none, or a service was killed before it could.

        Raises GalleryInUse where another program has it, StoreUnavailable where the disk is full, GalleryDamaged where
        it can't be loaded otherwise.
        """
        path = self._folder / "shard"
        self.dimension = dimension
        self._place = Place(self._folder)
        finish_switch(self._folder)
        if not path.exists():
            create_in_place(path, dimension)
        self._load(dimension)

    def _load(self, dimension: int) -> None:
        path = self._folder / "shard"
        try:
            # A shard with links across galleries, of an older version, is searched as it is until it is optimized next.
            self._edge = qdrant.EdgeShard.load(str(path), configuration(dimension))
        except Exception as error:
            if "WouldBlock" in str(error):  # Edge's own lock, held by a program that knows nothing of ours
                raise GalleryInUse(f"The shard {path} is open in another program; stop that one.") from error
            self._require_no_full_disk(error)
            log.exception("Qdrant Edge can't load %s", path)
            raise GalleryDamaged(f"Qdrant Edge can't load {path}: {error!s:.200}") from error
        except BaseException as panic:
            if isinstance(panic, (KeyboardInterrupt, SystemExit)):
                raise
            self._require_no_full_disk(panic)
            # Edge's panics are no Exceptions. This one comes before anything was answered, so it can be told.
            raise GalleryDamaged(f"Qdrant Edge can't load {path}: {panic!s:.200}") from panic

    def _require_no_full_disk(self, error: BaseException) -> None:
        """Raise StoreUnavailable where a shard can't be loaded for want of room, which is no damage."""
        if "No space left" in str(error) or is_full(self._folder):
            raise StoreUnavailable(
                f"The gallery in {self._folder} can't be opened, because its disk is full; free some space."
            ) from error

    def keep_ledger(self, ledger: Ledger | None) -> None:
        """From now on, every write is announced there and settled by `sync`; None: nowhere."""
        self._ledger = ledger

    def update(
        self,
        operation: qdrant.UpdateOperation,
        *,
        touched: Sequence[int] = (),
        adds: bool = False,
        erases: bool | None = None,
    ) -> None:
        """Write something about faces of these numbers; on disk once `sync` has returned.

        What only `adds` may be unannounced after a power cut: nobody was told of it. All else `erases` something that
        must not stay on disk for long, unless it says that it doesn't.
        """
        if self._place is not None:
            self._place.require()
        self._room.give_up_if_low()
        if self.before_change is not None:
            self.before_change(touched)
        if self.before_erasure is not None and (not adds if erases is None else erases):
            self.before_erasure()
        if self._ledger is not None and touched:
            self._ledger.announce(touched, durably=not adds)
            self._unsettled.update(touched)
        self._unsynced = True
        self._unflushed += max(1, len(touched))
        self.edge.update(operation)

    def matching(self, which: qdrant.Filter) -> list[int]:
        """The numbers of all faces that a filter lets through."""
        found = self.edge.count(qdrant.CountRequest(exact=True, filter=which))
        request = qdrant.ScrollRequest(limit=max(1, found), filter=which, with_payload=False, with_vector=False)
        records: list[Any] = self.edge.scroll(request)[0]
        return [each.id for each in records]

    def require_room(self) -> None:
        """Raise StoreUnavailable where the disk is too full to add anything."""
        if self._place is not None:
            self._place.require()
        free = shutil.disk_usage(self._folder).free + self._room.held_bytes()
        if free < self._reserve or self._room.is_low():
            raise StoreUnavailable(
                f"The gallery's disk is full ({free >> 20} MB left, {self._reserve >> 20} MB are kept in reserve), so "
                "nothing was registered; free some space and repeat the request. Removed faces give theirs back with "
                "`python -m indexer optimize`."
            )
        self._room.keep()

    def sync(self) -> None:
        """Bring every write so far to the disk.

        Edge leaves its log of writes in the page cache, which outlives a killed process but not a power cut.
        """
        if not self._unsynced:
            return
        fsync_files(self._folder / "shard" / "wal")
        if self._ledger is not None and self._unsettled:
            self._ledger.settle(digests_now(self.edge, sorted(self._unsettled)))
            self._unsettled.clear()
        self._unsynced = False
        if self._unflushed >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Bring the segments up to date on disk, so that the log of writes shrinks and the next start is quick."""
        self._room.give_up_if_low()
        self.edge.flush()
        self._unflushed = 0

    def optimize(self) -> None:
        """Build the index over what isn't indexed yet, and give the space of removed faces back.

        Raises StoreUnavailable where the disk has no room even for that.
        """
        self.sync()
        self._room.give_up_if_low()
        try:
            self.edge.optimize()
        except Exception as error:
            if "Not enough space" not in str(error):
                raise
            log.warning("Qdrant Edge can't optimize (%s); the faces are copied instead", error)
            self._compact()
        self.flush()

    def exchange(self) -> None:
        """Put `shard.new`, which has the same faces and is on disk, in the place of this one.

        `shard.gone` may be deleted then. What it raises leaves nothing loaded: the process must end, and its successor
        finish this.
        """
        self.sync()
        self.edge.close()
        self._edge = None
        switch_shards(self._folder, is_on_disk=True)
        self._load(self.dimension)
        self._unflushed = 0

    def _compact(self) -> None:
        copy_shard(self.edge, self._folder, lambda path: new_shard(path, self.dimension))
        self.edge.close()
        self._edge = None
        switch_shards(self._folder)
        self.load(self.dimension)  # which deletes the former one

    def abandon(self) -> None:
        """Let go of one that is damaged."""
        if self._edge is not None:
            self._edge.close()
            self._edge = None

    def close(self) -> bool:
        """Flush, and let go of it; whether everything is on disk and settled."""
        if self._edge is None:
            return False
        self.sync()
        self._edge.flush()
        self._edge.close()
        return not self._unsettled
