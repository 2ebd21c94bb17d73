"""The people of one gallery: all faces of a remark are one person, who can be shown, renamed and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from service.errors import RemarkInUse, UnknownPerson
from service.stores.people import PersonKey
from service.stores.store import Store
from service.values import Person


class People:
    """Those of one gallery of a store; faces whose time is up are removed before anybody is told of or changed."""

    def __init__(
        self,
        store: Store,
        *,
        gallery: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        changing: asyncio.Lock | None = None,
    ) -> None:
        """`clock` gives the aware time by which faces expire.

        `changing` is held by whoever reads faces of the gallery and writes them back changed.
        """
        self._store = store
        self._gallery = gallery
        self._clock = clock
        self._changing = changing or asyncio.Lock()

    async def page(
        self, limit: int, *, after: PersonKey | None, part: str | None
    ) -> tuple[list[Person], PersonKey | None]:
        """See Store.people. Raises StoreUnavailable."""
        await self._remove_expired()
        return await self._store.people(limit, gallery=self._gallery, after=after, part=part)

    async def person(self, remark: str) -> Person:
        """The person of a remark. Raises UnknownPerson where no face has it, or StoreUnavailable."""
        await self._remove_expired()
        found = await self._store.person(remark, gallery=self._gallery)
        if found is None:
            raise unknown_person()
        return found

    async def rename(self, remark: str, new: str, *, merge: bool) -> Person:
        """Give a person another remark, and tell about whoever has that now; the same one changes nothing.

        Raises UnknownPerson, StoreUnavailable, and RemarkInUse where another person has the new remark, unless `merge`
        makes one person of the two.
        """
        # Two who are given one remark at the same moment would not see each other, and a face that is being changed
        # would get the old remark back.
        async with self._changing:
            person = await self.person(remark)
            if new == remark:
                return person
            if not merge and await self._store.person(new, gallery=self._gallery) is not None:
                raise RemarkInUse(
                    "Another person has this remark; choose another one, or send `merge` as true to make the two one."
                )
            await self._store.rename_person(remark, new, gallery=self._gallery)
        return await self.person(new)

    async def remove(self, remark: str) -> int:
        """Forget all faces of a remark for good; how many there were, about.

        Raises UnknownPerson or StoreUnavailable.
        """
        await self._remove_expired()
        removed = await self._store.remove_person(remark, gallery=self._gallery)
        if not removed:
            raise unknown_person()
        return removed

    async def _remove_expired(self) -> None:
        """A store counts and renames people with all that it has; there is next to nothing to remove, as a rule."""
        await self._store.remove_expired(self._clock())


def unknown_person() -> UnknownPerson:
    """What is said where no face of the gallery has a remark."""
    return UnknownPerson("No face of this gallery has this remark; list the people to see which there are.")
