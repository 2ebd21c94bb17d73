"""Whether the service can do its work: a real inference, a real query and a small write, lately."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Sequence

from PIL import Image

from service.errors import FaceServiceError, NotReady
from service.http.move_watch import MoveWatch
from service.stores.store import Store
from service.timings import Timings
from service.values import DEFAULT_GALLERY, Box, Detection
from service.vision.engine import Engine

log = logging.getLogger(__name__)

LATELY_S = 10.0
"""A probe's success counts for so long."""
FAILED_LATELY_S = 1.0
"""A probe's failure counts for so long, so that those who ask meanwhile don't wait for one probe each."""
TIMEOUT_S = 5.0


class Health:
    """Probes the engine and the store, at most once every LATELY_S however often it is asked."""

    def __init__(
        self, engine: Engine, store: Store, warnings: Sequence[str] = (), *, moves: MoveWatch | None = None
    ) -> None:
        """`warnings` are sentences on settings that make answers less than one may expect."""
        self._moves = moves
        self.warnings = tuple(warnings)
        self._engine = engine
        self._store = store
        self._succeeded_at = float("-inf")
        self._failed_at = float("-inf")
        self._failure: FaceServiceError | None = None
        self._probing: asyncio.Task[FaceServiceError | None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._probe_photo = _grey_jpeg()

    def watch_warming(self, warming: asyncio.Task[None]) -> None:
        """A service whose models fail as they are warmed is not ready, and its log says so at once."""
        self._warming = warming
        warming.add_done_callback(_tell_of_warming)

    @property
    def node(self) -> str | None:
        """The address of the Qdrant server's node that is asked now; None where the gallery is in a folder."""
        return self._store.node

    async def failure(self) -> FaceServiceError | None:
        """None where all is well, else what isn't. All who ask at once share one probe."""
        if self._moves is not None and self._moves.failure is not None:
            return self._moves.failure
        if _failed(self._warming):
            return NotReady("The models failed as they were warmed; the service's log says how.")
        now = time.monotonic()
        if now - self._succeeded_at < LATELY_S:
            return None
        if now - self._failed_at < min(FAILED_LATELY_S, LATELY_S):
            return self._failure
        if self._probing is None:
            self._probing = asyncio.create_task(self._judge(), name="health probe")
            self._probing.add_done_callback(self._done)
        return await asyncio.shield(self._probing)

    async def close(self) -> None:
        """Give up a probe that is under way."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    def _done(self, _: object) -> None:
        self._probing = None

    async def _judge(self) -> FaceServiceError | None:
        self._failure = await self._attempt()
        if self._failure is None:
            self._succeeded_at = time.monotonic()
        else:
            self._failed_at = time.monotonic()
        return self._failure

    async def _attempt(self) -> FaceServiceError | None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.probe()
                await self._store.probe_write()
        except FaceServiceError as error:
            return error
        except TimeoutError:
            return NotReady(f"The models and the gallery did not answer within {TIMEOUT_S:g} s.")
        except Exception:
            log.exception("The probe failed.")
            return NotReady("The models or the gallery failed; the service's log says how.")
        return None

    async def probe(self) -> None:
        """Detect in, crop and embed a grey picture, and look its embedding up."""
        landmarks = ((22.0, 26.0), (42.0, 26.0), (32.0, 36.0), (24.0, 46.0), (40.0, 46.0))
        everything = [Detection(box=Box(0.0, 0.0, 64.0, 64.0), landmarks=landmarks, score=1.0)]
        observation = await self._engine.observe(self._probe_photo, lambda _found, _size: everything, Timings())
        await self._store.search(observation.faces[0].embedding, limit=1, gallery=DEFAULT_GALLERY)


def _grey_jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (127, 127, 127)).save(out, "JPEG")
    return out.getvalue()


def _failed(task: asyncio.Task[None] | None) -> bool:
    return task is not None and task.done() and not task.cancelled() and task.exception() is not None


def _tell_of_warming(warming: asyncio.Task[None]) -> None:
    if _failed(warming):
        log.error("The models failed as they were warmed, so the service is not ready.", exc_info=warming.exception())
