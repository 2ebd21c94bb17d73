"""Brings a gallery that is to take another's place to what that one holds, also what comes or goes meanwhile."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from array import array
from collections.abc import AsyncIterator, Sequence

from indexer.progress import Progress
from service.stores.listing import Stamp, key_of
from service.stores.store import Store
from service.values import Embedding, FaceChanges, StoredFace

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
        self._seen = _Stamps()

    @abstractmethod
    async def embedded(self, faces: Sequence[StoredFace]) -> list[tuple[StoredFace, Embedding]]:
        """Faces of the old gallery with the embeddings that they have in the new one; those that fail are noted."""

    async def catch_up(self, progress: Progress | None = None, *, remember: bool = False) -> int:
        """Add the faces that the new gallery lacks, remove those that only it has, and change those that were changed
        in the old one; how many these were.

        With `remember`, `follow` goes on from there.
        """
        self._seen = _Stamps()
        missing: list[int] = []
        changes = 0
        failed, self.failed = self.failed, {}
        async for old, new in pairs(self.old.scan_keys(), self.new.scan_keys()):
            kept = _is_one_face(old, new)
            if new is not None and not kept:
                await self.new.remove(new[1], gallery=None)
                changes += 1
            if old is not None and remember:
                self._seen.append(old)
            if old is not None and kept and old != new:
                changes += await self._change(old[1])
            elif old is not None and not kept:
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
        """Bring along what comes to the old gallery, goes from it and is changed in it, until nothing has for
        `quiet_s`; how much it was.

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
        """What has become of the old gallery since it was last looked at; how many faces came, went or changed."""
        before, self._seen = self._seen, _Stamps()
        come: list[int] = []
        changes = 0
        async for former, now in pairs(before.stamps(), self.old.scan_keys()):
            kept = _is_one_face(former, now)
            if now is not None:
                self._seen.append(now)
            if former is not None and now is not None and kept and former != now:
                changes += await self._change(now[1], after=former)
            if former is not None and not kept:
                changes += await self._remove_unless_new(former)
            if now is not None and not kept:
                come.append(now[1])
            if len(come) == BATCH:
                changes += await self._add(come, None)
                come = []
        return changes + await self._add(come, None)

    async def _remove_unless_new(self, stamp: Stamp) -> bool:
        """Remove the face of a stamp from the new gallery, unless it was registered anew there."""
        found = (await self.new.fetch([stamp[1]], gallery=None)).get(stamp[1])
        same = found is not None and _is_one_face(_stamp_of(found), stamp)
        return same and await self.new.remove(stamp[1], gallery=None)

    async def _change(self, face_id: int, *, after: Stamp | None = None) -> bool:
        """Change a face of the new gallery as that of the old one was, where both are still there.

        With `after` only if that is still its stamp in the new one: else it was registered anew or changed there.
        """
        face = (await self.old.fetch([face_id], gallery=None)).get(face_id)
        kept = (await self.new.fetch([face_id], gallery=None)).get(face_id)
        if face is None or kept is None or after not in (None, _stamp_of(kept)):
            return False
        changes = FaceChanges(
            remark=face.remark, metadata=face.metadata, expires_at=face.expires_at, change=face.change
        )
        return await self.new.change(face_id, changes, gallery=face.gallery)

    async def _add(self, face_ids: list[int], progress: Progress | None) -> int:
        """Bring some faces along, those that are still there."""
        faces = list((await self.old.fetch(face_ids, gallery=None)).values()) if face_ids else []
        ready = await self.embedded(faces) if faces else []
        if ready:
            await self.new.add_many(ready)
        if progress is not None:
            progress.note(failed=len(faces) - len(ready))
        return len(ready)


class _Stamps:
    """Stamps of faces, 24 bytes each."""

    def __init__(self) -> None:
        self._times, self._face_ids, self._changes = array("q"), array("q"), array("q")

    def append(self, stamp: Stamp) -> None:
        """Keep one more."""
        self._times.append(stamp[0])
        self._face_ids.append(stamp[1])
        self._changes.append(stamp[2])

    async def stamps(self) -> AsyncIterator[Stamp]:
        """All of them, in the order in which they were kept."""
        for stamp in zip(self._times, self._face_ids, self._changes, strict=True):
            yield stamp


def _stamp_of(face: StoredFace) -> Stamp:
    return *key_of(face.face_id, face.registered_at), face.change


def _is_one_face(one: Stamp | None, other: Stamp | None) -> bool:
    """Whether both are of one registration, whatever was changed since."""
    return one is not None and other is not None and one[:2] == other[:2]


async def pairs(
    old: AsyncIterator[Stamp], new: AsyncIterator[Stamp]
) -> AsyncIterator[tuple[Stamp | None, Stamp | None]]:
    """The stamps of two galleries, each by rising face_id, side by side; None where one of them lacks the face."""
    one, other = await anext(old, None), await anext(new, None)
    while one is not None or other is not None:
        only_old = other is None or (one is not None and one[1] < other[1])
        only_new = one is None or (other is not None and other[1] < one[1])
        yield (None if only_new else one), (None if only_old else other)
        one = one if only_new else await anext(old, None)
        other = other if only_old else await anext(new, None)
