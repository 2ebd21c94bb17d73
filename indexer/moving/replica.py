"""Brings a gallery that is to take another's place to what that one holds, also what comes or goes meanwhile."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from array import array
from collections.abc import AsyncIterator, Sequence

from indexer.progress import Progress
from service.stores.listing import Key, key_of
from service.stores.store import Store
from service.values import Embedding, StoredFace

LOOK_EVERY_S = 5.0
"""Between two looks at a gallery that was left."""

BATCH = 64
"""Faces read, made ready and added at once."""


class Replica(ABC):
    """Brings a new gallery to what the old one holds, as often as asked."""

    def __init__(self, *, old: Store, new: Store) -> None:
        self.old = old
        self.new = new
        self.failed: dict[int, str] = {}
        """The faces of the old gallery that can't be brought along, and why."""
        self._seen = _Keys()

    @abstractmethod
    async def embedded(self, faces: Sequence[StoredFace]) -> list[tuple[StoredFace, Embedding]]:
        """Faces of the old gallery with the embeddings that they have in the new one; those that fail are noted."""

    async def catch_up(self, progress: Progress | None = None, *, remember: bool = False) -> int:
        """Add the faces that the new gallery lacks, and remove those that only it has; how many these were.

        With `remember`, `follow` goes on from there.
        """
        self._seen = _Keys()
        missing: list[int] = []
        changes = 0
        failed, self.failed = self.failed, {}
        async for old, new in pairs(self.old.scan_keys(), self.new.scan_keys()):
            if new is not None and new != old:
                await self.new.remove(new[1], gallery=None)
                changes += 1
            if old is not None and remember:
                self._seen.append(old)
            if old is not None and old != new:
                if old[1] in failed:
                    self.failed[old[1]] = failed[old[1]]
                else:
                    missing.append(old[1])
            if progress is not None and old is not None:
                progress.advance()
            if len(missing) == BATCH:
                changes += await self._add(missing, progress)
                missing = []
        return changes + await self._add(missing, progress)

    async def follow(self, quiet_s: float) -> int:
        """Bring along what comes to the old gallery and goes from it, until nothing has for `quiet_s`; how much it was.

        The new one is in use by now: what else differs from the old one was done there.
        """
        loop = asyncio.get_running_loop()
        changed_at, total = loop.time(), 0
        while loop.time() - changed_at < quiet_s:
            await asyncio.sleep(min(LOOK_EVERY_S, quiet_s / 4))
            changes = await self._bring_along()
            total += changes
            if changes:
                changed_at = loop.time()
        return total

    async def _bring_along(self) -> int:
        """What has come to the old gallery since it was last looked at, and gone from it; how many these were."""
        before, self._seen = self._seen, _Keys()
        come: list[int] = []
        changes = 0
        async for former, now in pairs(before.keys(), self.old.scan_keys()):
            if now is not None:
                self._seen.append(now)
            if former is not None and former != now:
                changes += await self._remove_unless_new(former)
            if now is not None and former != now:
                come.append(now[1])
            if len(come) == BATCH:
                changes += await self._add(come, None)
                come = []
        return changes + await self._add(come, None)

    async def _remove_unless_new(self, key: Key) -> bool:
        """Remove the face of a key from the new gallery, unless it was registered anew there."""
        found = (await self.new.fetch([key[1]], gallery=None)).get(key[1])
        same = found is not None and key_of(found.face_id, found.registered_at) == key
        return same and await self.new.remove(key[1], gallery=None)

    async def _add(self, face_ids: list[int], progress: Progress | None) -> int:
        """Bring some faces along, those that are still there."""
        faces = list((await self.old.fetch(face_ids, gallery=None)).values()) if face_ids else []
        ready = await self.embedded(faces) if faces else []
        if ready:
            await self.new.add_many(ready)
        if progress is not None:
            progress.note(failed=len(faces) - len(ready))
        return len(ready)


class _Keys:
    """Keys of faces, 16 bytes each."""

    def __init__(self) -> None:
        self._times, self._face_ids = array("q"), array("q")

    def append(self, key: Key) -> None:
        """Keep one more."""
        self._times.append(key[0])
        self._face_ids.append(key[1])

    async def keys(self) -> AsyncIterator[Key]:
        """All of them, in the order in which they were kept."""
        for key in zip(self._times, self._face_ids, strict=True):
            yield key


async def pairs(old: AsyncIterator[Key], new: AsyncIterator[Key]) -> AsyncIterator[tuple[Key | None, Key | None]]:
    """The keys of two galleries, each by rising face_id, side by side; None where one of them lacks the face."""
    one, other = await anext(old, None), await anext(new, None)
    while one is not None or other is not None:
        only_old = other is None or (one is not None and one[1] < other[1])
        only_new = one is None or (other is not None and other[1] < one[1])
        yield (None if only_new else one), (None if only_old else other)
        one = one if only_new else await anext(old, None)
        other = other if only_old else await anext(new, None)
