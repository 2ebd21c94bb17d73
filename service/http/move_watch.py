"""Notices when a gallery of another model has taken the place of the one that this service has open."""

from __future__ import annotations

import asyncio
import logging

from service.errors import GalleryMoved, NotReady, StoreUnavailable
from service.stores.store import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0


class MoveWatch:
    """Looks now and then; once it has moved, a gallery stays so until the service is restarted."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moved = False

    @property
    def has_moved(self) -> bool:
        """Whether the gallery has moved: recognition goes on with the old faces, registrations are refused."""
        return self._moved

    @property
    def failure(self) -> NotReady | None:
        """Why the service isn't ready any more, if it has moved."""
        if not self._moved:
            return None
        return NotReady(
            "The gallery has moved to another model, so nothing can be registered or removed here; restart the service "
            "with that model (FACE_MODEL=auto takes up the gallery's)."
        )

    async def watch(self) -> None:
        """Look until it has moved, or until cancelled."""
        while not self._moved:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask the store, and log once that it has moved; while the store doesn't answer, nothing is known."""
        try:
            await self._store.require_current()
        except GalleryMoved:
            self._moved = True
            log.error("%s", self.failure)
        except StoreUnavailable as error:
            log.debug("Whether the gallery has moved can't be found out (%s).", error)
