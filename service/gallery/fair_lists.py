"""Lists that read from a store at the same time: few at a time, so that whoever asks for something else has a turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from service.values import StoredFace

AT_ONCE = 2
"""Lists of a gallery that ask the store at the same moment: a recognition waits for no more pages than that."""


class FairLists:
    """Has the lists of a gallery take turns, face by face; most faces are of a page that is there already."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, faces: AsyncIterator[StoredFace]) -> AsyncIterator[StoredFace]:
        """The faces as they come. Raises what reading them raises."""
        while True:
            async with self._turns:
                face = await anext(faces, None)
            if face is None:
                return
            yield face
