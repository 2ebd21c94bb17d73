"""How the service is doing, as one answer: what runs, since when, what waits, and what its operator should know."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.gallery.thresholds import NO_THRESHOLD
from service.http.recent import Recent
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that an operator should know: a slug, and a sentence that says what to do."""

    code: str
    detail: str


DEFAULT_FPIR = inspect.signature(Settings).parameters["fpir"].default
NO_THRESHOLD_SET = Warned(
    code="no_threshold",
    detail="Nobody is unknown: without a threshold, a stranger too is answered with the nearest faces; set "
    "FACE_THRESHOLD=auto to answer strangers with none.",
)
UNUSED_FPIR = Warned(
    code="unused_fpir",
    detail="FACE_FPIR is set but not used, as FACE_THRESHOLD is a number or unset; set FACE_THRESHOLD=auto, or leave "
    "FACE_FPIR out.",
)
NO_KEYS = Warned(
    code="no_keys",
    detail="Everybody who reaches the port may do everything; let only those in who are known "
    "(docs/device-authentication.md).",
)
UNSAFE_COPIES = Warned(
    code="unsafe_copies",
    detail="A registration counts though most copies don't have it yet, so a node of Qdrant that is cut off may answer "
    "alone what the others undo; keep three copies of which two must be written (FACE_QDRANT_REPLICAS=3).",
)
RENEWED_BY_STRANGERS = Warned(
    code="renewed_by_strangers",
    detail="FACE_RETENTION_DAYS counts from the last recognition, and without FACE_THRESHOLD everybody is recognised "
    "as somebody; set FACE_THRESHOLD=auto.",
)


def warned_of(settings: Settings) -> list[Warned]:
    """What makes answers less than one may expect, to be told at every start."""
    causes = {
        NO_THRESHOLD_SET: settings.threshold == NO_THRESHOLD,
        UNUSED_FPIR: settings.threshold != "auto" and settings.fpir != DEFAULT_FPIR,
        RENEWED_BY_STRANGERS: settings.retention_days > 0 and settings.threshold == NO_THRESHOLD,
        UNSAFE_COPIES: settings.qdrant_url is not None and settings.may_part,
    }
    return [warned for warned, is_so in causes.items() if is_so]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes of the disk that has the gallery."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What there is to tell; the functions are asked each time. `clock` gives seconds that never go back."""

    settings: Settings
    photos_waiting: Callable[[], int]
    crops_waiting: Callable[[], int]
    recent: Recent
    clock: Callable[[], float] = time.monotonic
    began: float = field(default_factory=time.monotonic)

    @property
    def uptime_s(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.began

    @property
    def warnings(self) -> Sequence[Warned]:
        """Of what the settings make less safe than one may expect."""
        missing = warned_of(self.settings)
        return [*missing, NO_KEYS] if self.settings.devices is self.settings.keys is None else missing

    async def disk(self) -> Disk | None:
        """Of the folder of the gallery; None where that is on a Qdrant server."""
        if self.settings.qdrant_url is not None:
            return None
        usage = await asyncio.to_thread(shutil.disk_usage, self.settings.data)
        return Disk(free_bytes=usage.free, total_bytes=usage.total)
