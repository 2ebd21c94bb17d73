"""The galleries of a store, apart from each other: one engine sees for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from service.errors import InvalidRequest, UnknownGallery
from service.gallery.duplicates import duplicate_check, known_duplicates
from service.gallery.gallery import Gallery, unknown_face
from service.gallery.rules import Rules
from service.settings import Settings
from service.stores.store import Store
from service.values import DEFAULT_GALLERY, GalleryEntry, StoredFace
from service.vision.engine import Engine

NAMES_KEPT_S = 5.0
"""For so long the names of the galleries count as read: another service may make one, or remove one."""


class Galleries:
    """Gives the gallery of a name."""

    def __init__(
        self, engine: Engine, store: Store, settings: Settings, model: str, clock: Callable[[], datetime]
    ) -> None:
        """`clock` gives the time of a registration, aware and in UTC.

        Raises InvalidSettings where the model has no threshold and the settings need one.
        """
        self.rules = Rules.of(settings, model)
        self._engine = engine
        self._store = store
        self._settings = settings
        self._model = model
        self._clock = clock
        self._opened: dict[str, Gallery] = {DEFAULT_GALLERY: self._make(DEFAULT_GALLERY)}
        self._names: frozenset[str] = frozenset()
        self._read_at = -NAMES_KEPT_S
        self._changing = asyncio.Lock()

    async def of(self, name: str) -> Gallery:
        """The gallery of a name. Raises UnknownGallery where there is none, or StoreUnavailable."""
        if name != DEFAULT_GALLERY:
            await self._require(name)
        if name not in self._opened:
            self._opened[name] = self._make(name)
        return self._opened[name]

    async def list(self) -> list[GalleryEntry]:
        """All of them, the default one first, then by name. Raises StoreUnavailable."""
        return await self._store.galleries()

    async def entry(self, name: str) -> GalleryEntry:
        """What is known of one. Raises UnknownGallery or StoreUnavailable."""
        found = next((each for each in await self.list() if each.name == name), None)
        if found is None:
            raise _unknown()
        return found

    async def face(self, face_id: int) -> StoredFace:
        """The face of a number, in whichever gallery it is. Raises UnknownFace or StoreUnavailable."""
        face = (await self._store.fetch([face_id], gallery=None)).get(face_id)
        if face is None or face.is_expired(self._clock()):
            raise unknown_face(face_id)
        return face

    async def create(self, name: str) -> bool:
        """Make an empty one; False where it is there already. Raises StoreUnavailable."""
        if name == DEFAULT_GALLERY:
            return False
        async with self._changing:  # what is made while its former faces are removed would lose new ones with them
            made = await self._store.create_gallery(name, self._clock())
            self._forget_names()
        return made

    async def remove(self, name: str) -> None:
        """Forget one and its faces for good.

        Raises InvalidRequest for the default one, which is always there, UnknownGallery or StoreUnavailable.
        """
        if name == DEFAULT_GALLERY:
            raise InvalidRequest(f"The gallery {DEFAULT_GALLERY} is always there; delete its faces or its people.")
        async with self._changing:
            removed = await self._store.remove_gallery(name)
            self._opened.pop(name, None)
            self._forget_names()
        if not removed:
            raise _unknown()

    async def _require(self, name: str) -> None:
        if name in self._names and time.monotonic() - self._read_at < NAMES_KEPT_S:
            return
        self._names = frozenset(each.name for each in await self._store.galleries())
        self._read_at = time.monotonic()
        if name not in self._names:
            raise _unknown()

    async def _require_still(self, name: str) -> None:
        """Like `_require`, but of what the store says now."""
        self._forget_names()
        await self._require(name)

    def _forget_names(self) -> None:
        self._names = frozenset()

    def _make(self, name: str) -> Gallery:
        return Gallery(
            self._engine,
            self._store,
            self.rules,
            self._clock,
            duplicate_check(self._settings, self._model, self._store, name),
            known_duplicates=known_duplicates(self._settings, self._model, self._store, name),
            name=name,
            require_gallery=None if name == DEFAULT_GALLERY else partial(self._require_still, name),
        )


def _unknown() -> UnknownGallery:
    return UnknownGallery("There is no gallery of this name; make it with `PUT /v1/galleries/{name}`, or list them.")
