"""Notices when a gallery of another model has taken the place of the one that this service has open."""

from __future__ import annotations

import asyncio
import logging

from service.errors import FaceServiceError, GalleryMoved, NotReady, StoreUnavailable
from service.stores.store import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0


class MoveWatch:
    """Looks now and then; once a gallery has moved, it stays so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moved = False
        self._failure: NotReady | None = None

    @property
    def has_moved(self) -> bool:
        """Whether the gallery has moved: recognition goes on with the old faces, registrations are refused."""
        return self._moved

    @property
    def failure(self) -> NotReady | None:
        """Why the service isn't ready any more, where the new gallery could not be taken up.

        None before that is known: were all services of a gallery not ready while each loads the other model, nobody
        would be recognised.
        """
        return self._failure

    def fail(self, error: FaceServiceError) -> None:
        """The new gallery could not be taken up; logged once for each cause."""
        failure = NotReady(
            "The gallery has moved to another model, so nothing can be registered or removed here. That model could "
            f"not be taken up, which is tried again soon: {error}"
        )
        if str(failure) != str(self._failure):
            log.error("%s", failure)
        self._failure = failure

    async def watch(self) -> None:
        """Look until it has moved, or until cancelled."""
        while not self._moved:
            await self.look()
            if not self._moved:
                await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask the store, and log once that it has moved; while the store doesn't answer, nothing is known."""
        try:
            await self._store.require_current()
        except GalleryMoved:
            self._moved = True
            log.warning("The gallery has moved to another model, which is loaded beside the one in use.")
        except StoreUnavailable as error:
            log.debug("Whether the gallery has moved can't be found out (%s).", error)
