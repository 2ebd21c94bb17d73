"""The people of one gallery: all faces of a remark are one person, who can be shown, renamed and forgotten."""

from __future__ import annotations

import asyncio

from service.errors import RemarkInUse, UnknownPerson
from service.stores.people import PersonKey
from service.stores.store import Store
from service.values import Person


class People:
    """Those of one gallery of a store."""

    def __init__(self, store: Store, *, gallery: str) -> None:
        self._store = store
        self._gallery = gallery
        self._renaming = asyncio.Lock()

    async def page(
        self, limit: int, *, after: PersonKey | None, part: str | None
    ) -> tuple[list[Person], PersonKey | None]:
        """See Store.people. Raises StoreUnavailable."""
        return await self._store.people(limit, gallery=self._gallery, after=after, part=part)

    async def person(self, remark: str) -> Person:
        """The person of a remark. Raises UnknownPerson where no face has it, or StoreUnavailable."""
        found = await self._store.person(remark, gallery=self._gallery)
        if found is None:
            raise unknown_person()
        return found

    async def rename(self, remark: str, new: str, *, merge: bool) -> Person:
        """Give a person another remark, and tell about whoever has that now; the same one changes nothing.

        Raises UnknownPerson, StoreUnavailable, and RemarkInUse where another person has the new remark, unless `merge`
        makes one person of the two.
        """
        async with self._renaming:  # two who are given one remark at the same moment would not see each other
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
        removed = await self._store.remove_person(remark, gallery=self._gallery)
        if not removed:
            raise unknown_person()
        return removed


def unknown_person() -> UnknownPerson:
    """What is said where no face of the gallery has a remark."""
    return UnknownPerson("No face of this gallery has this remark; list the people to see which there are.")
